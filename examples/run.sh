#!/usr/bin/env bash
# Runs every example of a build folder and reads what it prints: run.sh BUILD.
#
# Examples that take the most likely tokens must write what the lckv command writes. Of those that sample,
# only the form of the output is checked.
# shellcheck disable=SC2317 # try calls the checks and some of the commands
set -u
build=$(realpath "$1")
model=examples/models/stories-lckv-q8_0.gguf
out=$build/examples/output
story=$build/examples/story
saved=$build/examples/story.saved
downward=$build/examples/downward
prompt="Once upon a time"
failed=0
LC_ALL=C.UTF-8
export LC_ALL

fail() { # NAME WHY
    echo "FAIL $1: $2"
    cat "$out"
    failed=1
}

# try NAME CHECK COMMAND...: the command succeeds, and the check holds for what it printed.
try() {
    local name=$1 check=$2
    shift 2
    if ! "$@" >"$out" 2>&1; then
        fail "$name" "it failed"
    elif ! $check; then
        fail "$name" "that is not what it should print"
    else
        echo "ok $name"
    fi
}

# The output is a beginning of the story. Examples end it after different numbers of tokens.
is_story() {
    local text
    text=$(cat "$out")
    [ ${#text} -gt 100 ] && [ "${text#"$prompt"}" != "$text" ] && [ "$(head -c "$(printf %s "$text" | wc -c)" "$story")" = "$text" ]
}

# The output is sampled, but it is a story that continues the prompt.
is_a_story() { grep -qE "^One day, a little girl.{100,}" "$out"; }

# The output is a header and four plans, and LCKV and CLA-2 save as much as they should.
is_table() {
    [ "$(wc -l <"$out")" -eq 5 ] &&
        awk '/^standard/ {all = $3} /^CLA-2/ {half = $3 * 2} /^LCKV/ {few = $6 / 3 * 16; n = $8}
             END {exit !(all == 65536 && half == all && few == all && n == 170)}' "$out"
}

# For each prompt there is a numbered line that continues it, and at the end the memory of a token.
is_six_stories() {
    local i=0 begin
    for begin in "Once upon a time" "One day, a little dog" "Tom and Mia" "The old tree" "In a small house" "A brave mouse"; do
        i=$((i + 1))
        grep -qE "^$i: $begin.{40,}" "$out" || return 1
    done
    grep -q '^1536 bytes of keys and values a token; .* would take 6144$' "$out"
}

# The figures of a load of twelve requests: each was answered, or its client left.
is_load() {
    [ "$(wc -l <"$out")" -eq 4 ] && grep -qE '^throughput +[1-9][0-9]* tokens/s' "$out" && [ "$(grep -cE ' ms, 99% within [0-9.]+ ms$' "$out")" -eq 2 ] &&
        awk 'NR == 1 {exit !($1 == 12 && $3 + $5 + $8 == 12 && $3 > 6)}' "$out"
}

# Two tables of six texts. In the first, each text lies nearest to the other one of its pair.
is_pairs() {
    [ "$(wc -l <"$out")" -eq 14 ] &&
        awk 'NR > 1 && NR < 8 {
                 own = NR - 1; pair = own % 2 ? own + 1 : own - 1
                 for (i = 1; i <= 6; i++) if (i != own && i != pair && $i >= $pair) wrong = 1
                 if ($own != "1.00") wrong = 1
             }
             END {exit wrong}' "$out"
}

# Each line is an object of JSON, also by what another program calls JSON.
is_json() {
    [ "$(wc -l <"$out")" -eq 5 ] &&
        python3 -c 'import json, sys; sys.exit(not all(isinstance(json.loads(line), dict) for line in open(sys.argv[1])))' "$out"
}

# Four answers share the pages of their prefix, and what is released is found again.
is_shared() {
    [ "$(grep -cE '^answer [1-4]: One day.+' "$out")" -eq 4 ] && grep -q '^with 4 answers: 18 pages in use$' "$out" &&
        [ "$(grep -cE '^"\.\.\., .*": (79|80) of 8[45] tokens were there$' "$out")" -eq 3 ]
}

# Three runs write three pieces of the story.
write_pieces() {
    rm -f "$saved"
    for _ in 1 2 3; do "$build/examples/save_restore" "$model" "$saved" || return 1; done
}
save_foreign() { "$build/lckv" generate "$model" -p "$prompt" -n 4 --save "$saved" >"$out" 2>&1; }

# The draft is the target with fewer bits. Without upward layers the target looks at all guesses in one pass.
make_drafts() {
    "$build/lckv" convert "$model" "$build/examples/draft.gguf" --type q4_0 &&
        "$build/lckv" convert "$model" "$downward.gguf" --plan 0_0_0_0_0_0_0_0_0_0_10_11 --init copy &&
        "$build/lckv" convert "$downward.gguf" "$downward-draft.gguf" --type q4_0
}

# speculate TARGET DRAFT, and what the target writes alone.
speculate() {
    "$build/lckv" generate "$1" -p "$prompt" -n 64 --echo --prefill exact >"$build/examples/alone" 2>/dev/null &&
        "$build/examples/speculative" "$1" "$2" 2>"$build/examples/guesses"
}
# The text is the same, in fewer calls than it has tokens.
is_the_same_text() {
    cmp "$build/examples/alone" "$out" && [ "$(wc -c <"$out")" -gt 100 ] && grep -qE '^4 of 4 accepted:.{4,}' "$build/examples/guesses" &&
        tail -n 1 "$build/examples/guesses" | grep -qE '^64 tokens in [1-3][0-9] calls of the target'
}
is_the_same_in_few_passes() { is_the_same_text && grep -qE '\([1-3][0-9] passes' "$build/examples/guesses"; }

# There are two answers, each behind a "> ", and another "> " where the input ended.
is_conversation() { [ "$(grep -cE '^> .{40,}' "$out")" -eq 2 ] && [ "$(tail -n 1 "$out")" = "> " ]; }

"$build/lckv" generate "$model" -p "$prompt" -n 64 --echo >"$story" 2>"$out" || fail lckv "it failed"
try minimal is_story "$build/examples/minimal" "$model"
try planner is_table "$build/examples/planner"
try many_sessions is_six_stories "$build/examples/many_sessions" "$model"
try server_loop is_load "$build/examples/server_loop" "$model" 12 40
try stream is_a_story "$build/examples/stream" "$model"
if "$build/examples/stream" "$model" >"$out" 2>/dev/full; then
    fail stream "its callback's exception is lost"
fi
printf 'Tell me a story about a cat.\nOne day, the cat\n' >"$build/examples/input"
try embeddings is_pairs "$build/examples/embeddings" "$model"
try json is_json sh -c "for seed in 1 2 3 4 5; do '$build/examples/json' '$model' \$seed || exit 1; done"
try shared_prefix is_shared "$build/examples/shared_prefix" "$model"
try save_restore is_story write_pieces
if save_foreign && "$build/examples/save_restore" "$model" "$saved" >"$out" 2>&1; then
    fail save_restore "it takes what another program saved"
fi
make_drafts >"$out" 2>&1 || fail speculative "there are no drafts"
try speculative is_the_same_text speculate "$model" "$build/examples/draft.gguf"
try "speculative, one pass a call" is_the_same_in_few_passes speculate "$downward.gguf" "$downward-draft.gguf"
try chat is_conversation sh -c "'$build/examples/chat' '$model' <'$build/examples/input'"
try ffi_python is_story python3 examples/ffi_python.py "$model" "$build/liblckv.so"
if command -v rustc >/dev/null; then
    if rustc -O --out-dir "$build/examples" examples/ffi_rust.rs -L "$build" -l lckv \
        -C link-arg=-Wl,-rpath,"$build"; then
        try ffi_rust is_story "$build/examples/ffi_rust" "$model"
    else
        failed=1
    fi
else
    echo "skipped ffi_rust: no rustc"
fi
exit $failed
