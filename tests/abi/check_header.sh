#!/usr/bin/env bash
# The header compiles alone, with all warnings, in every language that it promises, and structs have no padding.
set -euo pipefail
for compiler in gcc clang; do
    command -v $compiler >/dev/null || continue
    for standard in c99 c11 c17; do
        echo '#include "lckv.h"' | $compiler -std=$standard -Wall -Wextra -pedantic -Wpadded -Werror \
            -Iinclude -fsyntax-only -x c -
    done
    echo '#include "lckv.h"' | $compiler -std=c++17 -Wall -Wextra -pedantic -Werror -Iinclude \
        -fsyntax-only -x c++ -
done
