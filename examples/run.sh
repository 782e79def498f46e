#!/usr/bin/env bash
# Runs every example of a build folder and fails if one fails or says nothing: run.sh BUILD.
set -u
build=$(realpath "$1")
model=examples/models/stories-lckv-q8_0.gguf
out=$build/examples/output
failed=0

try() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$out" 2>&1 && [ -s "$out" ]; then
        echo "ok $name"
    else
        echo "FAIL $name"
        cat "$out"
        failed=1
    fi
}

for example in minimal planner many_sessions stream; do
    try "$example" "$build/examples/$example" "$model"
done
if "$build/examples/stream" "$model" >"$out" 2>/dev/full; then
    echo "FAIL stream: its callback's exception is lost"
    failed=1
fi
printf 'Tell me a story about a cat.\nAnd then?\n' >"$build/examples/input"
try chat sh -c "'$build/examples/chat' '$model' <'$build/examples/input'"
try ffi_python python3 examples/ffi_python.py "$model" "$build/liblckv.so"
if command -v rustc >/dev/null; then
    if rustc -O --out-dir "$build/examples" examples/ffi_rust.rs -L "$build" -l lckv \
        -C link-arg=-Wl,-rpath,"$build"; then
        try ffi_rust "$build/examples/ffi_rust" "$model"
    else
        failed=1
    fi
else
    echo "skipped ffi_rust: no rustc"
fi
exit $failed
