#!/usr/bin/env bash
# What make deb has built installs on a fresh Debian, and works there: check_deb.sh BUILD [FOLDER].
#
# In a chroot that debootstrap makes in FOLDER (a new one; an old one is used again): apt installs the packages, the
# README's program compiles with pkg-config and with CMake, shared and static, and writes what the command writes; so
# do five lines of Python. Removing the packages leaves nothing. Needs root, debootstrap and the network.
set -euo pipefail
build=$(realpath "$1")
chroot=$(realpath -m "${2:-$build/debian-chroot}")
for tool in debootstrap chroot; do
    command -v $tool >/dev/null || { echo "skipped: no $tool"; exit 0; }
done
[ "$(id -u)" -eq 0 ] || { echo "skipped: not root"; exit 0; }
[ -e "$chroot/etc/debian_version" ] || debootstrap --variant=minbase bookworm "$chroot" >"$build/debootstrap.log"

work=$chroot/work
rm -rf "$work"
mkdir -p "$work"
cp "$build"/deb/*.deb examples/models/stories-lckv-q8_0.gguf "$work"
rm -f "$work"/*dbgsym*
# shellcheck disable=SC2016 # the backquotes are the README's
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >"$work/story.c"
cat >"$work/CMakeLists.txt" <<'LISTS'
cmake_minimum_required(VERSION 3.13)
project(story C)
find_package(lckv REQUIRED)
add_executable(shared story.c)
target_link_libraries(shared lckv::lckv)
add_executable(static story.c)
target_link_libraries(static lckv::lckv_static)
LISTS
cat >"$work/story.py" <<'PROGRAM'
import importlib.metadata
import sys
import lckv
session = lckv.Model(sys.argv[1]).cache().session()
print("Once upon a time" + session.complete("Once upon a time", max_tokens=64).text)
assert importlib.metadata.version("lckv") == lckv.version() == sys.argv[2]
PROGRAM
version=$(sed -n 's/^#define LCKV_VERSION_STRING "\(.*\)"/\1/p' include/lckv.h)
cp /etc/resolv.conf "$chroot/etc/resolv.conf"
echo 'Dpkg::Use-Pty "0";' >"$chroot/etc/apt/apt.conf.d/90without-pty" # a chroot has none
cat >"$work/try.sh" <<'TRY'
set -eu
cd /work
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends ./*.deb >/dev/null
for package in liblckv0 liblckv-dev lckv python3-lckv; do dpkg -s $package | grep -q '^Status: install ok installed'; done
! dpkg -l | grep -q openblas || [ "$(dpkg --print-architecture)" != amd64 ]
model=stories-lckv-q8_0.gguf
lckv generate $model -p "Once upon a time" -n 64 --echo >expected 2>/dev/null
python3 story.py $model "$1" >text
cmp expected text
apt-get install -y -qq --no-install-recommends gcc libc6-dev pkg-config make cmake >/dev/null
gcc -Wall -Werror story.c $(pkg-config --cflags --libs lckv) -o story
./story $model | cmp - expected
gcc story.c $(pkg-config --cflags lckv) -static $(pkg-config --libs --static lckv) -o story
./story $model | cmp - expected
cmake -S . -B out >cmake.log 2>&1 && cmake --build out >>cmake.log 2>&1 || { cat cmake.log; exit 1; }
out/shared $model | cmp - expected
out/static $model | cmp - expected
man_page=$(dpkg -L lckv | grep man1/lckv.1)
[ -n "$man_page" ]
apt-get purge -y -qq lckv liblckv0 liblckv-dev python3-lckv >/dev/null
left=$(find / -xdev -name '*lckv*' -not -path '/work/*' -not -path '/proc/*' -not -path '/var/lib/apt/*' -not -path '/var/cache/*')
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
TRY
env -u CC -u CXX -u CFLAGS -u LDFLAGS chroot "$chroot" bash /work/try.sh "$version" # the tools are those of the chroot
rm -rf "$work"
echo "installed, used and removed on Debian $(cat "$chroot/etc/debian_version")"
