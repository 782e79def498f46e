#!/bin/bash
#
# What the `lckv` command promises beside its results: exit statuses, help with examples, JSON that
# parses, messages on standard error. Prints one line for each check.
#
#     tests/api/test_tool.sh build/lckv examples/models/MODEL.gguf

# shellcheck source=tests/tool_support.sh
. "$(dirname "$0")/../tool_support.sh"

commands="info plan tokenize detokenize logits generate chat batch perplexity convert bench"

# The program itself.
exits 0 "lckv " --version
exits 0 "kernel sets: portable" --version
for command in $commands; do
    exits 0 "  $command " --help
    exits 0 "  lckv $command " "$command" --help # an example
    exits 0 "Usage: lckv $command" "$command" -h
    exits 2 "unknown option --wrong" "$command" --wrong
done
exits 2 "no command 'wrong'" wrong
run
ok=false
[ "$status" -eq 2 ] && [ ! -s "$work/out" ] && grep -q '^Usage: lckv' "$work/err" && ok=true
report "exit 2 and the usage on standard error: lckv" $ok

# Wrong use names the option and what was expected.
exits 2 "MODEL is missing" info
exits 2 "unexpected argument 'more'" info "$model" more
exits 2 "--json takes no value" info "$model" --json=1
exits 2 "--threads needs a value" generate "$model" --threads
exits 2 "--threads: expected a whole number from 1 to" generate "$model" --threads 0
exits 2 "--threads: expected" generate "$model" -t two
exits 2 "--n-tokens: expected" generate "$model" -n -1
exits 2 "--n-tokens: expected" generate "$model" -n 99999999999999999999999
exits 2 "--temp: expected a number" generate "$model" --temp nan
exits 2 "--temp: expected a number from 0 to" generate "$model" --temp -1
exits 2 "--top-p: expected a number from 0 to 1, got '2'" generate "$model" --top-p 2
exits 2 "--min-p: expected a number from 0 to 1" chat "$model" --min-p -0.5
exits 2 "--precision: expected one of full, fast" generate "$model" --precision half
exits 2 "exclude each other" generate "$model" -p a -f b
exits 2 "--prefill: expected" logits "$model" --tokens 1 -o "$work/x" --prefill iterated:0+0
exits 2 "--prefill: expected" logits "$model" --tokens 1 -o "$work/x" --prefill iterated:7
exits 2 "--kv-type: expected f32, f16, bf16, q8_0 or q4_0, or keys,values" logits "$model" --tokens 1 -o "$work/x" --kv-type q4_K
exits 2 "--tokens: expected token ids" logits "$model" --tokens 1,,2 -o "$work/x"
exits 2 "--tokens: expected token ids" logits "$model" --tokens 1,-2 -o "$work/x"
exits 2 "--tokens: expected token ids" logits "$model" --tokens 2147483648 -o "$work/x"
exits 2 "--tokens: expected at least one" logits "$model" --tokens '' -o "$work/x"
exits 2 "--split: expected less than the number of tokens, 2" \
    logits "$model" --tokens 1,2 --split 5 -o "$work/x"
exits 2 "--split: expected less" logits "$model" --tokens 1,2 --split 2 -o "$work/x"
exits 2 "--tokens is missing" logits "$model" -o "$work/x"
exits 2 "--output is missing" logits "$model" --tokens 1
exits 2 "--tokens is missing" detokenize "$model"
exits 2 "--bos and --no-bos" tokenize "$model" --bos --no-bos
exits 2 "one of --file and --tokens-file" perplexity "$model"
exits 2 "--context-window and --context exclude each other" \
    perplexity "$model" -f "$model" --context-window 9 -c 9
exits 2 "--context-window: expected a whole number from 2" generate "$model" --context-window 1
exits 1 "n_sinks is 3, but there is no context_window" generate "$model" -n 1 --sinks 3
exits 2 "--init needs --plan" convert "$model" "$work/x.gguf" --init copy
exits 2 "--kernel-set needs --packed" convert "$model" "$work/x.gguf" --kernel-set portable
exits 2 "OUT.gguf is missing" convert "$model"
exits 2 "--type: expected one of" convert "$model" "$work/x.gguf" --type q3
exits 2 "nothing to measure" bench "$model" -p 0 -n 0
exits 2 "--threads: expected" bench "$model" -t 1,0
exits 2 "PLAN is missing" plan
exits 2 "needs --layers" plan standard
exits 2 "--memory: expected a size" plan 0_1 --memory 8GG
exits 2 "--model excludes" plan --model "$model" --layers 3

# Things that go wrong.
exits 1 "nonexistent" info "$work/nonexistent"
exits 1 "cannot read $work/nonexistent" generate "$model" -f "$work/nonexistent"
exits 1 "cannot read $work/nonexistent" logits "$model" --tokens "@$work/nonexistent" -o "$work/x"
exits 1 "cannot write $work/none/x.npy" logits "$model" --tokens 1 -o "$work/none/x.npy"
exits 1 "token 1 is 2147483647" logits "$model" --tokens 1,2147483647 -o "$work/x.npy"
exits 1 "70000 backward passes" logits "$model" --tokens 1,2 --prefill iterated:7+70000 -o "$work/x.npy"
report "no half file is left: lckv logits" "$([ -z "$(find "$work" -name 'x.npy*')" ] && echo true)"
echo precious >"$work/old.npy"
mkfifo "$work/pipe"
for output in old.npy pipe; do
    exits 1 "token 0 is" logits "$model" --tokens 2147483647 -o "$work/$output"
done
report "a failure leaves the old file: lckv logits" "$([ "$(cat "$work/old.npy")" = precious ] && echo true)"
chmod 640 "$work/old.npy"
"$tool" logits "$model" --tokens 1 -o "$work/old.npy" >/dev/null 2>&1
report "a new file keeps the permissions: lckv logits" "$([ "$(stat -c %a "$work/old.npy")" = 640 ] && echo true)"
# A reader goes away: more rows than a pipe holds cannot be written to it.
head -c 1 "$work/pipe" >/dev/null &
exits 1 "cannot write $work/pipe" logits "$model" --tokens "$(seq -s, 1 60)" -o "$work/pipe"
wait
report "a pipe is not removed: lckv logits" "$([ -p "$work/pipe" ] && echo true)"
exits 1 "lckv: " plan 0_9_1
exits 1 "lckv: " plan 0_1_2 --layers 4
exits 1 "the prompt has 5 tokens and leaves no room in a --context of 5" \
    generate "$model" --tokens 1,2,3,4,5 -c 5 -n 1
exits 1 "the text has 1 token, less" perplexity "$model" --tokens-file <(echo 1) -c 4
exits 1 "less than one window" perplexity "$model" --tokens-file <(echo 1 2 3) -c 4
if [ -w /dev/full ]; then
    "$tool" plan 0_1 >/dev/full 2>"$work/err"
    status=$?
    report "exit 1 when standard output is full" \
        "$([ $status -eq 1 ] && grep -q 'cannot write standard output' "$work/err" && echo true)"
fi
{
    "$tool" plan 0_1 2>"$work/err"
    echo $? >"$work/status"
} | true
# The pipe may close before or after the write: either way no signal ends the tool.
report "a closed pipe is no crash" "$([ "$(cat "$work/status")" -le 1 ] && echo true)"

# Facts as JSON.
json "d['n_slots'] == 3 and d['n_layers'] == 8 and len(d['layers']) == 8" plan 0_6_6_6_6_6_6_7 --json
json "d['bytes_per_token'] == 2 * 3 * 4 * 32 * 2 and d['standard_bytes_per_token'] == 4096" \
    plan 0_6_6_6_6_6_6_7 --kv-heads 4 --head-dim 32 --json
json "d['sessions_that_fit'] > d['standard_sessions_that_fit'] > 0 and d['is_shape_assumed']" \
    plan 0_6_6_6_6_6_6_7 --memory 8GiB --json
json "d['memory'] == 3 * 2 ** 29" plan standard --layers 4 --memory 1.5GiB --json
json "[g['is_cyclic'] for g in d['groups']] == [False, True, False]" plan 0_6_6_6_6_6_6_7 --json
json "d['sliding_window'] == 4096 and d['n_windowed_slots'] == 2" plan 0s_1s_2_2 --json
json "d['n_layers'] == len(d['plan'].split('_')) and d['n_vocab'] > 0" info "$model" --json
json "d['rms_norm_eps'] == 1e-5 and len(str(d['rms_norm_eps'])) < 9" info "$model" --json
json "any(e['key'] == 'general.architecture' for e in d['metadata'])" info "$model" --json --metadata
json "d['n_layers'] == len(d['layers']) and not d['is_shape_assumed']" plan --model "$model" --json
json "d['problem'] is None and d['remarks'] == []" info "$model" --json
sed 's/lckv.use_sequential/lckv.use_sequentiaX/' "$model" >"$work/novel.gguf"
json "d['problem'] is None and len(d['remarks']) == 1 and 'lckv.use_sequentiaX' in d['remarks'][0]" \
    info "$work/novel.gguf" --json
exits 0 "not used, or not understood" info "$work/novel.gguf"

# A file without tensors, whose number stands at byte 8, is a vocabulary; so is one of an unknown architecture.
cp "$model" "$work/vocabulary.gguf"
head -c 8 /dev/zero | dd of="$work/vocabulary.gguf" bs=1 seek=8 conv=notrunc 2>"$work/err"
sed 's/lckv-llama/lckv-other/g' "$model" >"$work/other.gguf"
for file in vocabulary other; do
    file=$work/$file.gguf
    "$tool" tokenize "$model" --text "Once upon a time" >"$work/text"
    run tokenize "$file" --text "Once upon a time"
    report "tokens of $(basename "$file")" "$([ -s "$work/text" ] && cmp -s "$work/text" "$work/out" && echo true)"
    exits 0 "Once upon a time" detokenize "$file" --tokens "@$work/text"
    exits 0 "does not run" info "$file"
    exits 1 "" generate "$file" --prompt x
done
exits 1 "has no tensors" generate "$work/vocabulary.gguf" --prompt x
exits 1 "has no tensors" convert "$work/vocabulary.gguf" "$work/x.gguf"
json "'has no tensors' in d['problem'] and d['n_parameters'] == 0 and d['n_layers'] > 0" \
    info "$work/vocabulary.gguf" --json
json "d['n_slots'] < d['n_layers']" plan --model "$work/vocabulary.gguf" --json
# A directory with no more than config.json, of a model that lckv does not run yet.
json "d['full_bytes_per_token'] == 6 * 1024 and d['sliding_window'] == 512 and d['n_windowed_slots'] == 12" \
    plan --model tests/data/gemma4-e2b --kv-type bf16 --json
json "d['full_bytes_per_token'] == 16 * 1024 and d['sliding_window'] == 512 and d['n_windowed_slots'] == 20" \
    plan --model tests/data/gemma4-e4b --kv-type bf16 --json
exits 0 "in windows of 512" plan --model tests/data/gemma4-e2b
exits 0 "1 KV head of 256 or 1 KV head of 512" plan --model tests/data/gemma4-e2b
exits 0 "layer embeddings" info tests/data/architectures/gemma4-inputs
exits 1 "lckv-other" plan --model "$work/other.gguf"
json "d['architecture'] == 'lckv-other' and 'lckv-other' in d['problem'] and 'plan' not in d and d['n_vocab'] > 0" \
    info "$work/other.gguf" --json
json "all(isinstance(t, int) for t in d['tokens']) and d['tokens']" \
    tokenize "$model" --text 'Once "upon" a time' --json
json "d['tokens'] == []" tokenize "$model" --no-bos --text '' --json
json "d['n_generated'] == 5 == len(d['tokens']) and d['reason'] == 'length'" \
    generate "$model" -p "Once upon a time" -n 5 --ignore-eos --json
json "d['perplexity'] > 1 and d['n_tokens'] == 2 * 7" \
    perplexity "$model" --tokens-file <(seq 100 115) -c 8 --all-positions --json
json "d['perplexity'] > 1 and d['n_tokens'] == 2 * 3" \
    perplexity "$model" --tokens-file <(seq 100 116) -c 8 --json
json "d['perplexity'] > 1 and d['n_tokens'] == 599 and d['n_documents'] == 1 and d['context_window'] == 16" \
    perplexity "$model" --tokens-file <(seq 100 699) --context-window 16 --sinks 2 --json
long=tests/data/architectures/llama-longrope
exits 1 "--rope-context" perplexity $long --tokens-file <(seq 1 80) -c 80
json "d['perplexity'] > 1" perplexity $long --tokens-file <(seq 1 80) -c 80 --rope-context 80 --json
json "d['context_window'] == 64 and d['bytes_per_session'] < 2**22 and d['context_that_fits'] is None" \
    plan 0_2_2_3 --context 1000000 --context-window 64 --memory 1GiB --json
json "[(t['depth'], t['n_sessions']) for t in d['tests'] if t['test'] == 'decode'] == [(0, 1), (0, 3), (9, 1), (9, 3)]" \
    bench "$model" -p 0 -n 2 -d 0,9 -b 1,3 -t 1 -r 1 --json
json "all(t['bytes_per_step'] > d['weight_bytes_per_step'] for t in d['tests'])" bench "$model" -p 0 -n 2 -d 9 -t 1 -r 1 --json
json "all(abs(t['share_of_bandwidth'] * t['probe_gigabytes_per_second'] / t['gigabytes_per_second'] - 1) < 1e-4 for t in d['tests'])" \
    bench "$model" -p 0 -n 2 -t 1,2 -r 1 --json
json "[t['test'] for t in d['tests']] == ['prompt', 'decode']" bench "$model" -p 4 -n 2 -t 1 -r 1 --json
for want in last hidden all; do
    json "d['want'] == '$want' and d['tests'][0]['median'] > 0" bench "$model" -p 4 -n 0 -d 3 -t 1 -r 1 --want $want --json
done
exits 2 "--want" bench "$model" --want some
json "[(t['test'], t['n_sessions']) for t in d['tests']] == [('prompt', 1), ('prompt', 3)]" \
    bench "$model" -p 4 -n 0 --prompts 1,3 -t 1 -r 1 --want hidden --json

# Windows: the calibration knows every one, and a verification tells work and deviation.
text=tests/data/heldout.txt
json "{t['window'] for t in d['tests'] if t['test'] == 'prompt'} >= {1, 4, 64} and
    [(t['depth'], t['n_sessions']) for t in d['tests'] if t['test'] == 'choice'] == [(0, 1), (0, 2), (9, 1), (9, 2)] and
    all(t['work'] == 1 for t in d['tests'] if t['test'] == 'prompt' and t['window'] == 1) and
    all(t['work'] > 1 and t['reads'] < 1 for t in d['tests'] if t['test'] == 'prompt' and t['window'] == 64) and
    [t['n_sessions'] for t in d['tests'] if t['test'] == 'pass'] == [2**i for i in range(8)]" \
    bench "$model" -p 30 -r 1 -d 0,9 --prompts 1,2 --calibrate "$text" --json
exits 0 "fastest: --prefill auto:" bench "$model" -p 30 -r 1 --calibrate "$text"
exits 1 "no layer of this plan reads a higher one" bench tests/data/goldens/standard-llama -p 4 --calibrate "$text"
exits 1 "cannot read $work/none" bench "$model" --calibrate "$work/none"
exits 2 "--verify" logits "$model" --tokens 1 -o "$work/x" --json
exits 0 "after 40 of 40" logits "$model" --tokens "$(seq -s, 1 40)" -o "$work/x.npy" --prefill exact --verify
json "d['largest_deviation'] == 0 and d['work'] == 1 and d['reads'] == 1 and d['n_rows'] == 40" \
    logits "$model" --tokens "$(seq -s, 1 40)" -o "$work/x.npy" --prefill exact --verify --json
json "0 < d['mean_deviation'] < d['largest_deviation'] < 1 and d['work'] > 1 > d['reads'] and d['residual'] > 0" \
    logits "$model" --tokens "$(seq -s, 1 40)" -o "$work/x.npy" --prefill auto:8,0.05 --verify --json
json "d['n_rows'] == 1 and d['n_tokens'] == 40" \
    logits "$model" --tokens "$(seq -s, 1 40)" -o "$work/x.npy" --prefill auto:8 --last --chunk 7 --verify --json
json "all(0 < t['min'] < t['median'] < t['max'] for t in d['tests'])" bench "$model" -p 4 -n 2 -t 1 -r 3 --json

# Text and tokens come back as they went in.
for text in 'Once upon a time' $'two\nlines, a tab\t and "quotes"' 'ümläut €' $'\xff\xfe'; do
    run tokenize "$model" --no-bos --no-special --text "$text"
    cp "$work/out" "$work/ids"
    run detokenize "$model" --tokens "@$work/ids"
    report "tokens and back: $(printf '%q' "$text")" \
        "$([ "$status" -eq 0 ] && [ "$(cat "$work/out")" = "$text" ] && echo true)"
done

# Logits have the right shape, and the ways of feeding do not matter.
run logits "$model" --tokens 1,2,3,4,5 -o "$work/all.npy"
report "a .npy file of version 1" "$([ "$status" -eq 0 ] && [ "$(head -c 8 "$work/all.npy" | od -An -tx1 | tr -d ' ')" = \
    934e554d50590100 ] && echo true)"
for way in "--chunk 2" "--split 3" "--split 3 --chunk 2" "--prefill exact" "--threads 1"; do
    # shellcheck disable=SC2086
    run logits "$model" --tokens 1,2,3,4,5 $way -o "$work/other.npy"
    report "the same logits with $way" "$(cmp -s "$work/all.npy" "$work/other.npy" && echo true)"
done
ln -s seen.npy "$work/link.npy"
run logits "$model" --tokens 1,2,3,4,5 -o "$work/link.npy"
report "logits through a link" "$([ -L "$work/link.npy" ] && cmp -s "$work/all.npy" "$work/seen.npy" && echo true)"
report "logits to standard output" \
    "$("$tool" logits "$model" --tokens 1,2,3,4,5 -o /dev/stdout 2>"$work/err" | cmp -s "$work/all.npy" - && echo true)"
run logits "$model" --tokens 1,2,3,4,5 --last -o "$work/last.npy"
row=$(($(stat -c %s "$work/last.npy") - 128))
report "--last is the last row" \
    "$(cmp -s <(tail -c $row "$work/all.npy") <(tail -c $row "$work/last.npy") && echo true)"

# Generation.
run generate "$model" -p "Once upon a time" -n 8
report "figures on standard error" \
    "$([ "$status" -eq 0 ] && grep -q 'tokens/s.*bytes/token' "$work/err" && echo true)"
cp "$work/out" "$work/text"
run generate "$model" -f <(printf 'Once upon a time') -n 8
report "--file is --prompt" "$([ -s "$work/text" ] && cmp -s "$work/text" "$work/out" && echo true)"
run generate "$model" -p "Once upon a time" -n 8 --temp 0.8 --seed 5
cp "$work/out" "$work/text"
run generate "$model" -p "Once upon a time" -n 8 --temp 0.8 --seed 5 -t 1
report "a seed gives the same text" \
    "$([ -s "$work/text" ] && cmp -s "$work/text" "$work/out" && echo true)"
run generate "$model" -p "Once upon a time" -n 8
cp "$work/out" "$work/text"
run generate "$model" -p "Once upon a time" -n 8 --temp 50
report "a high temperature makes another text" "$(cmp -s "$work/text" "$work/out" || echo true)"
for share in 0 1e-99; do
    run generate "$model" -p "Once upon a time" -n 8 --temp 50 --top-p $share
    report "--top-p $share keeps the most likely token alone" \
        "$([ -s "$work/text" ] && cmp -s "$work/text" "$work/out" && echo true)"
done
# Within a context window a text is the ordinary one; beyond it, text goes on with little memory.
json "d['n_generated'] == 300" \
    generate "$model" -p "Once" -n 300 --ignore-eos --context-window 40 --sinks 2 --json
run generate "$model" -p "Once upon a time" -n 30 --ignore-eos
cp "$work/out" "$work/text"
run generate "$model" -p "Once upon a time" -n 30 --ignore-eos --context-window 40
report "a context window changes nothing before it is full" \
    "$([ -s "$work/text" ] && cmp -s "$work/text" "$work/out" && echo true)"
json "d['n_prompt'] + d['n_generated'] == 10 and d['reason'] == 'full'" \
    generate "$model" -p "Once" -n 2000 -c 10 --ignore-eos --json
report "a full context ends the text, and no error" \
    "$([ "$status" -eq 0 ] && grep -q 'note: the context of 10 tokens is full' "$work/err" && echo true)"
json "d['n_prompt'] + d['n_generated'] == 10 and d['reason'] == 'length'" \
    generate "$model" --tokens 1,2,3,4 -n 6 -c 10 --ignore-eos --json
printf 'Hello\n' | "$tool" chat "$model" -n 4 >"$work/out" 2>"$work/err"
status=$?
report "chat reads lines from a pipe" "$([ $status -eq 0 ] && [ -s "$work/out" ] && echo true)"
for _ in 1 2 3; do seq -s ' ' 1 300; done |
    "$tool" chat "$model" -n 4 --context-window 100 >"$work/out" 2>"$work/err"
status=$?
report "chat goes on beyond its context window" \
    "$([ $status -eq 0 ] && [ "$(wc -l <"$work/out")" -eq 3 ] && ! grep -q fills "$work/err" && echo true)"

# Conversion writes files that can be read back.
run convert "$model" "$work/f16.gguf" --type f16 --json
report "convert" "$([ "$status" -eq 0 ] && python3 -m json.tool "$work/out" >/dev/null && echo true)"
json "d['weight_types'].startswith('f16')" info "$work/f16.gguf" --json
run convert "$model" "$work/packed.gguf" --packed
json "d['is_mapped'] and not d['is_repacked']" info "$work/packed.gguf" --json
run info "$work/packed.gguf"
report "info says that a packed file is mapped" "$(grep -q 'mapped' "$work/out" && echo true)"
"$tool" generate "$model" -p "Once" -n 8 --seed 1 >"$work/text" 2>"$work/err"
run generate "$work/packed.gguf" -p "Once" -n 8 --seed 1
report "a packed file writes the same text" "$([ -s "$work/text" ] && cmp -s "$work/text" "$work/out" && echo true)"
# A matrix of many pieces, packed for 8 lanes and for 16, gives the same bytes of logits in either kernel set.
for type in q8_0 f16; do
    python3 bench/make_model.py --layers 1 --hidden 64 --heads 2 --kv-heads 1 --ffn 96 --vocab 300000 --type $type "$work/wide.gguf"
    for for_set in portable avx512; do
        "$tool" --version | grep -qw "$for_set" || continue # not on this architecture
        run convert "$work/wide.gguf" "$work/wide-packed.gguf" --packed --kernel-set $for_set
        report "packs $type for $for_set" "$([ "$status" -eq 0 ] && echo true)"
        for set in portable ''; do
            "$tool" logits "$work/wide.gguf" --tokens 1,39999,7 -o "$work/plain.npy" ${set:+--kernel-set $set} 2>"$work/err"
            run logits "$work/wide-packed.gguf" --tokens 1,39999,7 -o "$work/packed.npy" ${set:+--kernel-set $set}
            report "$type packed for $for_set, read by ${set:-the default set}" \
                "$([ "$status" -eq 0 ] && cmp -s "$work/plain.npy" "$work/packed.npy" && echo true)"
        done
    done
done

# Models of every quantised type give the same bytes of logits from the packed file, by one thread or three, and token
# by token. Fast precision is close to full precision of the portable set.
write_logits() { # MODEL NAME ARGUMENTS...
    "$tool" logits "$1" --tokens "$(seq -s, 1 40)" -o "$work/$2.npy" --gemm own "${@:3}" 2>"$work/err"
}
for type in q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4 q4_k_m q5_k_m; do
    rm -f "$work"/small*.gguf "$work"/{exact,fast,packed,streamed,chunks}.npy # of the type before
    python3 bench/make_model.py --layers 2 --hidden 256 --heads 4 --kv-heads 2 --ffn 512 --vocab 96 --type $type "$work/small.gguf"
    "$tool" convert "$work/small.gguf" "$work/small-packed.gguf" --packed >"$work/out" 2>"$work/err"
    write_logits "$work/small.gguf" exact --kernel-set portable --precision full
    write_logits "$work/small.gguf" fast --precision fast -t 1
    write_logits "$work/small-packed.gguf" packed --precision fast -t 3
    write_logits "$work/small-packed.gguf" streamed --precision fast -t 2 --stream-weights
    write_logits "$work/small.gguf" chunks --precision fast --chunk 1
    ok=true
    for other in packed streamed chunks; do cmp -s "$work/fast.npy" "$work/$other.npy" || ok=false; done
    report "$type: the same logits packed, by three threads, streamed, and token by token" $ok
    report "$type: fast precision is near full" "$(python3 - "$work/exact.npy" "$work/fast.npy" 2>"$work/err" <<'END'
import array, sys
exact, fast = (array.array("f", open(path, "rb").read()[-40 * 96 * 4 :]) for path in sys.argv[1:])
spread = (sum(x * x for x in exact) / len(exact)) ** 0.5
off = (sum((x - y) ** 2 for x, y in zip(exact, fast)) / len(exact)) ** 0.5
sys.stderr.write(f"off by {off / spread:.4f} of the spread\n")
print("true" if 0 < off < 0.02 * spread else "")
END
)"
done
# What is left is the packed q5_K_M.
json "0 < d['resident_bytes'] < d['weight_bytes'] / 10 and d['ring_bytes'] > 0" info "$work/small-packed.gguf" --stream-weights --json
json "d['resident_bytes'] == d['weight_bytes'] and d['ring_bytes'] == 0" info "$work/small-packed.gguf" --json
run info "$work/small-packed.gguf" --stream-weights --stream-bytes 2MiB
exits 2 "--stream-bytes belongs to --stream-weights" info "$work/small-packed.gguf" --stream-bytes 2MiB
exits 1 "expected at least" info "$work/small-packed.gguf" --stream-weights --stream-bytes 4KiB
exits 1 "lckv convert $work/small.gguf packed.gguf --packed" info "$work/small.gguf" --stream-weights

# The shapes of Gemma models that benchmarks use open and run, narrow as they are here.
for preset in gemma4-e2b:15 gemma3n-e2b:20; do
    python3 bench/make_model.py --preset "${preset%:*}" --hidden 160 --heads 2 --kv-heads 1 --ffn 96 --vocab 96 "$work/small.gguf"
    json "d['n_slots'] == ${preset#*:} and d['sliding_window'] == 512" plan --model "$work/small.gguf" --json
    exits 0 "decode" bench "$work/small.gguf" -p 2 -n 1
done

# What lckv convert writes is near what it read: the fewer bits, the farther.
python3 bench/make_model.py --layers 8 --hidden 256 --heads 4 --kv-heads 2 --ffn 512 --vocab 96 --type f32 "$work/small.gguf"
write_logits "$work/small.gguf" exact --precision full
for case in "q8_0 0.013 q8_0, f32" "q6_k 0.045 q6_K, f32" "q5_k_m 0.065 q5_K, q6_K, f32" "q5_k 0.095 q5_K, f32" \
    "q5_1 0.095 q5_1, f32" "q5_0 0.12 q5_0, f32" "q4_k_m 0.14 q4_K, q6_K, f32" "q4_k 0.19 q4_K, f32" \
    "q4_1 0.18 q4_1, f32" "q4_0 0.23 q4_0, f32"; do
    read -r type bound types <<<"$case"
    rm -f "$work/less.gguf" "$work/less.npy"
    run convert "$work/small.gguf" "$work/less.gguf" --type "$type"
    json "d['weight_types'] == '$types'" info "$work/less.gguf" --json
    write_logits "$work/less.gguf" less --precision full
    report "convert --type $type: the logits are within $bound" "$(python3 - "$work/exact.npy" "$work/less.npy" "$bound" 2>"$work/err" <<'END'
import array, sys
exact, less = (array.array("f", open(path, "rb").read()[-40 * 96 * 4 :]) for path in sys.argv[1:3])
spread = sum(x * x for x in exact) ** 0.5
off = sum((x - y) ** 2 for x, y in zip(exact, less)) ** 0.5
sys.stderr.write(f"off by {off / spread:.4f} of the spread\n")
print("true" if 0 < off < float(sys.argv[3]) * spread else "")
END
)"
done

golden=tests/data/goldens/standard-llama
exits 1 "sliding_window" convert $golden "$work/w.gguf" --plan 0s_1s_2_2_2_2_2_2
run convert $golden "$work/w.gguf" --plan 0s_1s_2_2_2_2_2_2 --sliding-window 5
json "d['sliding_window'] == 5" info "$work/w.gguf" --json

finish
