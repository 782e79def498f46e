#!/usr/bin/env bash
# find_package(lckv) of CMake finds what make install wrote, wherever it is moved, and an example that is linked with
# the shared and with the static library writes the same. check_cmake.sh LCKV MODEL BUILD.
set -euo pipefail
model=$(realpath "$2")
build=$3
if ! command -v cmake >/dev/null; then
    echo "skipped: no cmake"
    exit 0
fi
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/project"
cp examples/minimal.c "$stage/project"
cat >"$stage/project/CMakeLists.txt" <<'LISTS'
cmake_minimum_required(VERSION 3.13)
project(minimal C)
find_package(lckv ${WANTED} REQUIRED)
find_package(lckv) # a second time changes nothing
add_executable(shared minimal.c)
target_link_libraries(shared PRIVATE lckv::lckv)
add_executable(static minimal.c)
target_link_libraries(static PRIVATE lckv::lckv_static)
LISTS
read -ra cc <<<"${CC:-cc}" # a command with arguments, perhaps
configure() { # PREFIX VERSION
    rm -rf "$stage/out"
    CC=${cc[-1]} cmake -S "$stage/project" -B "$stage/out" -DCMAKE_PREFIX_PATH="$1" -DWANTED="$2" >"$stage/said" 2>&1
}
complain() {
    echo "FAIL  $1"
    cat "$stage/said"
    exit 1
}

version=$(sed -n 's/^#define LCKV_VERSION_STRING "\(.*\)"/\1/p' include/lckv.h)
# A folder of Debian's, one beside the header, and one with blanks. What is installed is moved before it is used.
for libdir in usr/lib/x86_64-linux-gnu usr/lib "opt/a folder/lib"; do
    prefix=/${libdir%/lib*}
    make -s install BUILD="$build" DESTDIR="$stage/first" PREFIX="$prefix" LIBDIR="/$libdir" >/dev/null
    mv "$stage/first" "$stage/moved place"
    configure "$stage/moved place$prefix" "$version" || complain "cmake does not find lckv in /$libdir"
    cmake --build "$stage/out" >"$stage/said" 2>&1 || complain "what find_package says does not build"
    readelf -d "$stage/out/shared" | grep -q 'NEEDED.*liblckv.so.0' || complain "shared is not linked with the shared library"
    ! readelf -d "$stage/out/static" | grep -q 'NEEDED.*liblckv' || complain "static is linked with the shared library"
    "$stage/out/shared" "$model" >"$stage/one"
    "$stage/out/static" "$model" | cmp - "$stage/one"
    [ -s "$stage/one" ]
    if [ "$libdir" = usr/lib ]; then
        ! configure "$stage/moved place$prefix" 99.0 || complain "version 99.0 is found"
        grep -q "version: $version" "$stage/said" || complain "cmake does not say which version there is"
    fi
    mv "$stage/moved place" "$stage/first"
    make -s uninstall BUILD="$build" DESTDIR="$stage/first" PREFIX="$prefix" LIBDIR="/$libdir"
    left=$(find "$stage/first" -path '*cmake/lckv*' -o -type f)
    [ -z "$left" ] || complain "make uninstall leaves $left"
done
