#!/usr/bin/env bash
# Both libraries export exactly the list in lib/lckv.map, and the header declares exactly that.
set -euo pipefail
build=$3
list=$(grep -o 'lckv_[a-z0-9_]*;' lib/lckv.map | tr -d ';' | sort)
shared=$(nm -D --defined-only "$build/liblckv.so" | awk '$2 ~ /[TDBRVW]/ {print $3}' | sed 's/@.*//' | grep -v '^LCKV_' | sort)
static=$(nm --defined-only --extern-only "$build/liblckv.a" 2>/dev/null | awk 'NF == 3 {print $3}' | sort)
header=$(${CC:-cc} -E -P include/lckv.h | tr '\n' ' ' | grep -o 'visibility("default"))) [^(]*(' | grep -o 'lckv_[a-z0-9_]* *($' | tr -d ' (' | sort)
for name in shared static header; do
    if [ "${!name}" != "$list" ]; then
        echo "$name differs from lib/lckv.map:"
        diff <(echo "$list") <(echo "${!name}") || true
        exit 1
    fi
done
echo "$(wc -l <<<"$list") symbols"
