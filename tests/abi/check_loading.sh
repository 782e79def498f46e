#!/usr/bin/env bash
# Loading the shared library changes nothing of the process.
set -euo pipefail
build=$3
${CC:-cc} -D_GNU_SOURCE -O1 tests/abi/loading.c -o "$build/tests/loading" -ldl -lm
"$build/tests/loading" "$PWD/$build/liblckv.so"
