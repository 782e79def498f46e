#!/usr/bin/env bash
# Tests the Rust bindings: their declarations against the header and the exports, the tests of the crates, and the
# examples. Cargo works offline, in the folder rust of BUILD.
set -euo pipefail
model=$(realpath "$2")
build=$(realpath "$3")
rust=$(realpath bindings/rust)
bindings=$rust/lckv-sys/src/bindings.rs

declared=$(grep -o 'pub fn lckv_[a-z0-9_]*' "$bindings" | cut -d ' ' -f 3 | sort)
exported=$(grep -o 'lckv_[a-z0-9_]*;' lib/lckv.map | tr -d ';' | sort)
[ "$declared" = "$exported" ] || {
    echo "lckv-sys does not declare what the library exports; run bindings/rust/lckv-sys/generate.sh"
    diff <(echo "$declared") <(echo "$exported")
    exit 1
}

# Another version of bindgen writes the same declarations in other words.
version=$(grep -om 1 'rust-bindgen [0-9.]*' "$bindings" | cut -d ' ' -f 2)
if command -v bindgen >/dev/null && [ "$(bindgen --version)" = "bindgen $version" ]; then
    fresh=$(mktemp)
    trap 'rm -f "$fresh"' EXIT
    "$rust/lckv-sys/generate.sh" "$fresh"
    cmp "$bindings" "$fresh" || {
        echo "lckv-sys is not what lckv.h declares; run bindings/rust/lckv-sys/generate.sh"
        exit 1
    }
else
    echo "skipped: no bindgen $version"
fi

if ! command -v cargo >/dev/null; then
    echo "skipped: no cargo"
    exit 0
fi
mkdir -p "$build/rust"
# shellcheck disable=SC2016 # make expands it
libs=$(make -s --no-print-directory --eval 'show-libs:;@echo $(LIBS)' show-libs)
sed -e "s|@PREFIX@|/usr|; s|@LIBDIR@|$build/rust/a folder|; s|@VERSION@|0|; s|@LIBS@|$libs|" lckv.pc.in >"$build/rust/lckv.pc"
ln -sfn "$build" "$build/rust/a folder"
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$build/rust LD_LIBRARY_PATH=$build
cd "$rust"
LCKV_LIB_DIR=$build cargo test --offline --locked --quiet

# The examples write what they should.
"$build/rust/debug/examples/story" "$model" | grep -qE '^One day, a little girl.{100,}'
"$build/rust/debug/examples/many_sessions" "$model" >"$build/rust/stories"
[ "$(grep -cE '^[1-8]: .{40,}' "$build/rust/stories")" -eq 8 ]
grep -qE '^[0-9]+ pages for 9 sessions$' "$build/rust/stories"

# Without LCKV_LIB_DIR, pkg-config says where the library is, and what a static one needs.
for static in 0 1; do
    PKG_CONFIG_PATH=$build/rust LCKV_STATIC=$static CARGO_TARGET_DIR=$build/rust/found \
        cargo build --offline --locked --quiet --example story
    [ "$(readelf -d "$build/rust/found/debug/examples/story" | grep -c 'NEEDED.*liblckv')" -ne $static ]
    "$build/rust/found/debug/examples/story" "$model" | grep -q "^One day, a little girl"
done
