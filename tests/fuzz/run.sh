#!/usr/bin/env bash
# Fuzzes each target for a while: run.sh BUILD SECONDS [TARGET...]. The inputs that libFuzzer finds stay in
# BUILD/corpus, those that end a process in BUILD/crashes. make fuzz builds the targets and calls this.
set -u
build=$1
seconds=$2
shift 2
here=tests/fuzz
timeout=${FUZZ_TIMEOUT:-1} # seconds for one input
found=0
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_stack_use_after_return=0:allocator_may_return_null=1}
export UBSAN_OPTIONS=print_stacktrace=1
[ $# -gt 0 ] || for source in "$here"/fuzz_*.c; do
    target=${source##*/fuzz_}
    set -- "$@" "${target%.c}"
done
"$build/tests/fuzz/seeds" "$build/seeds" || exit 1
for target in "$@"; do
    # Sanitizers check the portable kernels; targets with many calls use the fastest set.
    if [ "$target" = calls ]; then unset LCKV_CPU; else export LCKV_CPU=portable; fi
    # In packed files each matrix begins a page.
    if [ "$target" = packed ]; then max_len=196608; else max_len=65536; fi
    corpus=$build/corpus/$target
    log=$build/$target.log
    mkdir -p "$corpus" "$build/crashes" "$here/corpus/$target"
    options=(-max_total_time="$seconds" -timeout="$timeout" -max_len="$max_len" -rss_limit_mb=1024
        -malloc_limit_mb=64 -print_final_stats=1 -entropic=0 -use_value_profile=1 -reload=0
        -artifact_prefix="$build/crashes/$target-")
    [ ! -f "$here/$target.dict" ] || options+=(-dict="$here/$target.dict")
    if "$build/tests/fuzz/fuzz_$target" "${options[@]}" "$corpus" "$build/seeds/$target" \
        "$here/corpus/$target" >"$log" 2>&1; then
        echo "ok    $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
            "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log") a second"
    else
        found=1
        echo "FOUND $target: see $log"
        grep -E '^(tests/fuzz|SUMMARY|==[0-9]+== ?ERROR)|runtime error|Test unit written' "$log" | head -6
    fi
    rmdir "$here/corpus/$target" 2>/dev/null
done
exit $found
