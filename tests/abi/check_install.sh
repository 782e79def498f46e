#!/usr/bin/env bash
# Tests make install to a DESTDIR, and an example built through pkg-config, shared and static; uninstall must leave
# nothing. Then it tests a PREFIX with blanks, install-strip, and the loader's table.
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
# This one links nothing shared. Libraries that need more than packages.txt names (libgfortran) are not in the flags.
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

# Takes a PREFIX that the shell, sed and pkg-config could each misread, and no DESTDIR. The stub stands for ldconfig.
prefix="$stage/a b & | 'c'"
printf '#!/bin/sh\necho "called $*" >>"%s"\n' "$stage/called" >"$stage/ldconfig"
chmod +x "$stage/ldconfig"
make -s install-strip BUILD="$build" PREFIX="$prefix" LDCONFIG="$stage/ldconfig" >"$stage/said"
grep -qF "will not find the library in $prefix/lib" "$stage/said" # this stub lists nothing
if [ "$(id -u)" -eq 0 ]; then
    grep -qx "called " "$stage/called" || { echo "make install as root does not run ldconfig"; exit 1; }
fi
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
[ "$(pkg-config --variable=libdir lckv)" = "$prefix/lib" ] || { echo "libdir: $(pkg-config --variable=libdir lckv)"; exit 1; }
for way in "" --static; do
    # pkg-config escapes what the shell would take apart.
    # shellcheck disable=SC2086
    eval "set -- $(pkg-config --cflags --libs $way lckv)"
    [ -z "$way" ] || rm "$prefix"/lib/liblckv.so*
    ${CC:-cc} examples/minimal.c "$@" -o "$stage/blanks"
    LD_LIBRARY_PATH="$prefix/lib" "$stage/blanks" "$model" >"$stage/two"
    cmp "$stage/one" "$stage/two"
    [ -n "$way" ] || ! readelf -S "$prefix/lib/liblckv.so" | grep -qE '[.](symtab|debug_)' || { echo "not stripped"; exit 1; }
done
! readelf -SW "$prefix/lib/liblckv.a" | grep -q '[.]debug_' || { echo "liblckv.a is not stripped"; exit 1; }
"$prefix/bin/lckv" --version >/dev/null
make -s uninstall BUILD="$build" PREFIX="$prefix" LDCONFIG="$stage/ldconfig"
left=$(find "$prefix" -type f -o -type l)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
