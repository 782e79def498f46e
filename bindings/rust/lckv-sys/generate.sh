#!/usr/bin/env bash
# Writes src/bindings.rs from include/lckv.h, or the file that is named. The header is read as C++, in which its
# constants have the types that calls take.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
out=$(realpath "${1:-$here/src/bindings.rs}")
cd "$here/../../../include"
bindgen lckv.h --output "$out" --allowlist-function 'lckv_.*' --allowlist-type 'lckv_.*' --allowlist-var 'LCKV_.*' \
    --blocklist-item 'LCKV_(VERSION|OF)_.*' --with-derive-default --size_t-is-usize -- \
    -x c++ -std=c++17 -fparse-all-comments
