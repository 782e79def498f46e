#!/usr/bin/env bash
# Runs the tests that a build folder holds: run.sh BUILD [all|programs|valgrind].
#
# all       programs, scripts, examples, and the golden tests under every kernel set
# programs  only the Check programs (for sanitizers)
# valgrind  the Check programs in their short form under valgrind, about an hour of two processors
#
# Programs run beside each other, as many as there are processors (JOBS), and scripts one by one.
# KERNEL_SETS=fastest runs the golden tests under the fastest kernel set only.
set -u
build=$1
what=${2:-all}
model=examples/models/stories-lckv-q8_0.gguf
passed=0
failed=0
jobs=${JOBS-$(nproc)}
# Checks give up on a test after some seconds, and here it has a part of the machine, and sanitizers take their time.
[ "$what" = all ] && slower=1 || slower=10
export CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER-$((slower * (jobs + 1)))}
# gcc 12 places 64-byte vectors of its checked stack frames at 32 bytes: AVX-512 stores then fault.
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_stack_use_after_return=0}

logs=$build/test-logs
rm -rf "$logs"
mkdir -p "$logs"
declare -A names=() # of the programs that run, by process
trap 'kill "${!names[@]}" 2>/dev/null; exit 130' INT TERM

report() { # STATUS NAME LOG
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok    $2"
        sed -n 's/^skipped.*/      &/p' "$3"
    else
        failed=$((failed + 1))
        echo "FAIL  $2"
        grep "^FAIL" -A 6 "$3" | head -n 40 || true
        tail -n 40 "$3"
    fi
}

finish_one() {
    local id status
    wait -n -p id
    status=$?
    report "$status" "${names[$id]}" "$logs/$id"
    unset "names[$id]"
}

finish_all() {
    while [ ${#names[@]} -gt 0 ]; do finish_one; done
}

start() { # NAME COMMAND...: beside others
    local name=$1
    shift
    [ ${#names[@]} -lt "$jobs" ] || finish_one
    (exec "$@" >"$logs/$BASHPID" 2>&1) &
    names[$!]=$name
}

# Alone, and in the foreground, so that signals reach it.
run() { # NAME COMMAND...
    local name=$1
    shift
    finish_all
    "$@" >"$logs/alone" 2>&1
    report $? "$name" "$logs/alone"
}

kernel_sets() { "$build/lckv" --version | sed -n "s/^kernel sets://p"; }

runnable() { [ -x "$1" ] && [ -f "$1" ] && [ "${1%.d}" = "$1" ]; }

[ "$what" = all ] || export LCKV_TEST_SHORT=1
programs=("$build"/tests/unit/test_* "$build"/tests/api/test_* "$build"/tests/cpp/test_*)
if [ "$what" = valgrind ]; then
    export CK_FORK=no CK_TIMEOUT_MULTIPLIER=50
    # valgrind computes each fused multiply-add in C, which makes the set avx2 five times as slow as portable. The
    # tests of kernels and attention go through every set that valgrind knows. It also runs one thread at a time, and
    # without --fair-sched a thread that asks again and again for the end of another may be the only one.
    export LCKV_CPU=${LCKV_CPU-portable}
    for program in "${programs[@]}"; do
        runnable "$program" || continue
        start "valgrind $(basename "$program")" valgrind -q --fair-sched=yes \
            --error-exitcode=9 --leak-check=full \
            --errors-for-leak-kinds=definite,indirect "$program"
    done
else
    for program in "${programs[@]}"; do
        runnable "$program" || continue
        start "$(basename "$program")" "$program"
    done
    kernel_sets | grep -o "[a-z0-9]* (not[^)]*)" | sed "s/^/skipped kernel set: /"
    sets=$(kernel_sets | sed "s/[a-z0-9]* (not[^)]*)//g")
    # Sanitizers take minutes for each set: the gate has time for the one that most people use.
    [ "${KERNEL_SETS-all}" = all ] || sets=$(echo "$sets" | awk '{print $NF}')
    for set in $sets; do
        for program in "$build"/tests/golden/test_* "$build"/tests/api/test_cache_logits; do
            runnable "$program" || continue
            start "$(basename "$program") ($set)" env LCKV_CPU="$set" "$program"
        done
    done
fi
finish_all
if [ "$what" != valgrind ]; then
    # The inputs of fuzzing: those that it begins with, and those that it has found.
    inputs=$build/tests/fuzz/inputs
    run "inputs of fuzzing" "$build/tests/fuzz/seeds" "$inputs"
    [ "$what" = all ] || export LCKV_REPLAY_SECONDS=5 # sanitizers take their time
    for program in "$build"/tests/fuzz/fuzz_*; do
        runnable "$program" || continue
        target=${program##*/fuzz_}
        corpus=tests/fuzz/corpus/$target
        [ -d "$corpus" ] || corpus=
        start "replay $target" "$program" "$inputs/$target" ${corpus:+"$corpus"}
    done
    finish_all
fi
if [ "$what" = all ]; then
    faults=$build/tests/malloc_faults
    run malloc_faults env LD_PRELOAD="$faults/preload.so" "$faults/test_malloc_faults"
    for script in tests/abi/*.sh; do
        run "$script" bash "$script" "$build/lckv" "$model" "$build"
    done
    for script in tests/api/*.sh; do
        run "$script" bash "$script" "$build/lckv" "$model"
    done
    run examples bash examples/run.sh "$build"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
