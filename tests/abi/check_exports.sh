#!/usr/bin/env bash
# Both libraries export exactly the list in lib/lckv.map, and the header declares exactly that.
set -euo pipefail
build=$3
list=$(grep -o 'lckv_[a-z0-9_]*;' lib/lckv.map | tr -d ';' | sort)
compare() { # WHAT NAMES
    if [ "$2" != "$list" ]; then
        echo "$1 differs from lib/lckv.map:"
        diff <(echo "$list") <(echo "$2") || true
        exit 1
    fi
}
compare "the shared library" "$(nm -D --defined-only "$build/liblckv.so" | awk '{print $3}' | sort)"
compare "the static library" "$(nm --defined-only --extern-only "$build/liblckv.a" | awk 'NF == 3 {print $3}' | sort)"
compare "the header" "$(grep -v '^#' include/lckv.h | tr '\n' ' ' | grep -oE 'LCKV_API [^;(]*\(' | grep -oE 'lckv_[a-z0-9_]+ *\($' | tr -d ' (' | sort)"
echo "$(wc -l <<<"$list") symbols"
