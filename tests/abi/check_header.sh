#!/usr/bin/env bash
# The headers compile alone, with all warnings, in every language that they promise, and structs have no padding.
# What lckv.hpp promises to the compiler holds with every compiler in every standard.
set -euo pipefail
build=$3
for compiler in gcc clang; do
    command -v $compiler >/dev/null || continue
    for standard in c99 c11 c17; do
        echo '#include "lckv.h"' | $compiler -std=$standard -Wall -Wextra -pedantic -Wpadded -Werror \
            -Iinclude -fsyntax-only -x c -
    done
    echo '#include "lckv.h"' | $compiler -std=c++17 -Wall -Wextra -pedantic -Werror -Iinclude \
        -fsyntax-only -x c++ -
done

program=$(mktemp)
trap 'rm -f "$program"' EXIT
for compiler in g++ clang++; do
    command -v $compiler >/dev/null || { echo "skipped: no $compiler"; continue; }
    for standard in c++17 c++20; do
        $compiler -std=$standard -O1 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wold-style-cast \
            -Wshadow -Werror -Iinclude tests/cpp/test_views.cpp -L"$build" -llckv -Wl,-rpath,"$(realpath "$build")" -o "$program"
        "$program"
    done
done
