#!/usr/bin/env bash
# packages-build.txt names what building needs: every library that the Makefile asks pkg-config for, and nothing
# that only tests need. All of it is in packages.txt, which the README's commands install.
set -euo pipefail
missing=$(sort packages-build.txt | comm -23 - <(sort packages.txt))
[ -z "$missing" ] || { echo "not in packages.txt: $missing"; exit 1; }
for package in clang valgrind cppcheck shellcheck clang-format check python3 g++; do
    ! grep -qx "$package" packages-build.txt || { echo "building does not need $package"; exit 1; }
done
if ! command -v dpkg >/dev/null; then
    echo "skipped: no dpkg"
    exit 0
fi
# shellcheck disable=SC2016 # make expands it
libraries=$(make -s --no-print-directory --eval 'show-libraries:;@echo $(PACKAGES)' show-libraries)
for library in $libraries libedit libxxhash; do
    file=$(pkg-config --variable=pcfiledir "$library")/$library.pc
    # Debian's alternatives are links; the package owns what they lead to.
    package=$(dpkg -S "$(realpath "$file")" | cut -d: -f1)
    grep -qx "$package" packages-build.txt || { echo "$library is in $package, which packages-build.txt lacks"; exit 1; }
done
