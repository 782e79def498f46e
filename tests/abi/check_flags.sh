#!/usr/bin/env bash
# Objects that were compiled with other flags are compiled again, and no others, in a BUILD outside the sources.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
object=$folder/build/lib/base/status.o
build() { make -s BUILD="$folder/build" CFLAGS="$1" "$object" && stat -c %y "$object"; }
first=$(build -O1)
[ "$(build -O1)" = "$first" ] || { echo "compiled again for nothing"; exit 1; }
[ "$(build -O0)" != "$first" ] || { echo "not compiled again with other flags"; exit 1; }
make -s clean BUILD="$folder/build"
[ ! -e "$folder/build" ] || { echo "make clean leaves BUILD"; exit 1; }
