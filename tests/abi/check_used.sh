#!/usr/bin/env bash
# Every function of lckv.h is called by an example or by a test of the public header. check_used.sh LCKV MODEL BUILD.
set -euo pipefail
declared=$(grep -o 'lckv_[a-z0-9_]*;' lib/lckv.map | tr -d ';')

# uncalled FILE...: the functions that the files do not call. What stands in comments and strings is no call.
# CHECK_INIT of tests/api/test_options.c calls the _init of a type.
uncalled() {
    python3 - "$declared" "$@" <<'PYTHON'
import pathlib
import re
import sys

source = "\n".join(pathlib.Path(path).read_text() for path in sys.argv[2:])
source = re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"', " ", source, flags=re.DOTALL)
called = set(re.findall(r"\b(lckv_\w+)\s*\(", source))
called |= {f"{name}_init" for name in re.findall(r"\bCHECK_INIT\((lckv_\w+)\)", source)}
print(*(name for name in sys.argv[1].split() if name not in called), sep="\n", end="")
PYTHON
}

mapfile -t users < <(find examples tests/api tests/golden -name '*.c' -o -name '*.h' -path 'tests/*' | sort)
missing=$(uncalled "${users[@]}")
[ -z "$missing" ] || { echo "FAIL  no example and no test calls:"; echo "$missing"; exit 1; }

# The check can fail: a function whose only call is taken away is named, whatever comments and strings say of it.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed 's/lckv_session_fork(/other(/' examples/shared_prefix.c >"$folder/program.c"
echo '/* lckv_session_fork(session, &fork) */ const char *text = "lckv_session_fork(";' >>"$folder/program.c"
grep -qx lckv_session_fork <<<"$(uncalled "$folder/program.c")"
! grep -qx lckv_session_reuse <<<"$(uncalled "$folder/program.c")" || exit 1
echo "${#users[@]} files call all $(wc -w <<<"$declared") functions"
