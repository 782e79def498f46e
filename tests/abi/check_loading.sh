#!/usr/bin/env bash
# Loading the shared library changes nothing in the process.
set -euo pipefail
library=$(realpath "$3/liblckv.so")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
${CC:-cc} -D_GNU_SOURCE -O1 tests/abi/loading.c -o "$folder/loading" -ldl -lm
"$folder/loading" "$library"
