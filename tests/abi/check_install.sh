#!/usr/bin/env bash
# make install to a DESTDIR, an example through pkg-config, shared and static; uninstall leaves nothing.
set -euo pipefail
model=$2
build=$3
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
make -s install BUILD="$build" DESTDIR="$stage" PREFIX=/usr >/dev/null
export PKG_CONFIG_PATH="$stage/usr/lib/pkgconfig"
flags() { pkg-config "$@" --define-variable=prefix="$stage/usr" --define-variable=libdir="$stage/usr/lib" lckv; }
# shellcheck disable=SC2046
${CC:-cc} examples/minimal.c $(flags --cflags --libs) -o "$stage/shared"
LD_LIBRARY_PATH="$stage/usr/lib" "$stage/shared" "$model" >"$stage/one"
rm "$stage"/usr/lib/liblckv.so*
# shellcheck disable=SC2046
${CC:-cc} examples/minimal.c $(flags --cflags --libs --static) -o "$stage/static"
"$stage/static" "$model" >"$stage/two"
cmp "$stage/one" "$stage/two"
test -s "$stage/one"
"$stage/usr/bin/lckv" --version
make -s uninstall BUILD="$build" DESTDIR="$stage" PREFIX=/usr
left=$(find "$stage/usr" -type f -o -type l)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
