#!/usr/bin/env bash
# Programs that were built against an older lckv.h keep working: the interface is as tests/abi/record.txt has it, but
# for additions, and the programs of tests/abi/frozen, each built with the header beside it, run with today's library.
# They also compile with today's header. check_abi.sh LCKV MODEL BUILD; docs/abi.md is the promise.
set -euo pipefail
model=$2
build=$(realpath "$3")
here=tests/abi
if ! command -v python3 >/dev/null; then
    echo "skipped: no python3"
    exit 0
fi
if [ "$(getconf LONG_BIT)" -ne 64 ]; then
    echo "skipped: the record is that of machines with 64-bit pointers"
    exit 0
fi
PYTHONDONTWRITEBYTECODE=1 python3 "$here/record.py" check include/lckv.h "$build/liblckv.so"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The programs stay as they are, so later compilers may warn of anything but of calls that do not fit the header.
flags=(-std=c11 -D_GNU_SOURCE -Werror={implicit-function-declaration,incompatible-pointer-types,int-conversion})
# A version's programs may leave to those before it what they call already.
: >"$folder/names"
for frozen in "$here"/frozen/*/; do
    version=$(basename "$frozen")
    header=$frozen/lckv.h
    programs=("$frozen"*.c)
    [ -f "${programs[0]}" ] || { echo "FAIL  $frozen has no program that makes every new call: see docs/abi.md"; exit 1; }
    ${CC:-cc} "${flags[@]}" -I"$frozen" "${programs[@]}" -L"$build" -llckv -lm -o "$folder/program"
    ${CC:-cc} "${flags[@]}" -Iinclude -fsyntax-only "${programs[@]}" || {
        echo "FAIL  programs of version $version do not compile with today's lckv.h"
        exit 1
    }
    nm -D --undefined-only "$folder/program" | grep -o 'lckv_[a-z0-9_]*' >>"$folder/names"
    grep -oh 'lckv_[a-z0-9_]*' "${programs[@]}" >>"$folder/names"
    declared=$({
        grep -v '^#' "$header" | tr '\n' ' ' | grep -oE 'LCKV_API [^;(]*\(' | grep -oE 'lckv_[a-z0-9_]+ *\($' | tr -d ' ('
        sed -n 's/^} \(lckv_[a-z0-9_]*\);$/\1/p' "$header"
    } | sort)
    unused=$(comm -23 <(echo "$declared") <(sort -u "$folder/names") | tr '\n' ' ')
    [ -z "$unused" ] || { echo "FAIL  the programs in $frozen do not use $unused"; exit 1; }
    LD_LIBRARY_PATH=$build "$folder/program" "$model" "$folder" || {
        echo "FAIL  a program that was built with version $version does not run with today's library"
        exit 1
    }
    echo "a program of version $version uses all of its $(wc -l <<<"$declared") functions and structs"
done
