#!/usr/bin/env bash
# make install to a DESTDIR, an example through pkg-config, shared and static; uninstall leaves nothing.
set -euo pipefail
model=$2
build=$3
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
make -s install BUILD="$build" DESTDIR="$stage" PREFIX=/usr >/dev/null
export PKG_CONFIG_PATH="$stage/usr/lib/pkgconfig"
flags() { pkg-config "$@" --define-variable=prefix="$stage/usr" lckv; }
# lckv.h needs no other header, and no other library's flags.
[ "$(flags --cflags | tr -d ' ')" = "-I$stage/usr/include" ] || { echo "--cflags: $(flags --cflags)"; exit 1; }
[ "$(flags --libs | tr -d ' ')" = "-L$stage/usr/lib-llckv" ] || { echo "--libs: $(flags --libs)"; exit 1; }
# shellcheck disable=SC2046
${CC:-cc} examples/minimal.c $(flags --cflags --libs) -o "$stage/shared"
LD_LIBRARY_PATH="$stage/usr/lib" "$stage/shared" "$model" >"$stage/one"
rm "$stage"/usr/lib/liblckv.so*
# shellcheck disable=SC2046
${CC:-cc} examples/minimal.c $(flags --cflags --libs --static) -o "$stage/static"
"$stage/static" "$model" >"$stage/two"
cmp "$stage/one" "$stage/two"
# Nothing shared at all. What needs more than packages.txt names (libgfortran) does not belong to the flags.
# shellcheck disable=SC2046
${CC:-cc} -static examples/minimal.c $(flags --cflags --libs --static) -o "$stage/alone"
"$stage/alone" "$model" >"$stage/two"
cmp "$stage/one" "$stage/two"
case $(flags --libs --static) in *gfortran*) echo "libgfortran in $(flags --libs --static)"; exit 1 ;; esac
test -s "$stage/one"
"$stage/usr/bin/lckv" --version
make -s uninstall BUILD="$build" DESTDIR="$stage" PREFIX=/usr
left=$(find "$stage/usr" -type f -o -type l)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
