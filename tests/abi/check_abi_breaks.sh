#!/usr/bin/env bash
# The check of the ABI finds what breaks programs: each kind of break is planted into a copy of the header or of the
# library. check_abi_breaks.sh LCKV MODEL BUILD.
set -euo pipefail
build=$(realpath "$3")
if ! command -v python3 >/dev/null; then
    echo "skipped: no python3"
    exit 0
fi
cd "$(dirname "$0")"
LCKV_TEST_BUILD=$build PYTHONDONTWRITEBYTECODE=1 python3 -m unittest test_breaks 2>&1 | sed 's/^\(FAIL\|ERROR\):/FAIL \1:/'
