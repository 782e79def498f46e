#!/bin/bash
#
# lckv generate and lckv chat with --save and --restore: what was saved goes on as if nothing had happened. Prints
# one line for each check.
#
#     tests/api/test_tool_saved.sh build/lckv examples/models/MODEL.gguf

# shellcheck source=tests/tool_support.sh
. "$(dirname "$0")/../tool_support.sh"

saved=$work/saved
whole() { "$tool" generate "$model" -p "Once upon a time" -n 40 --ignore-eos --json 2>"$work/err"; }
ids() { python3 -c 'import json, sys; print(json.load(sys.stdin)["tokens"])'; }
expected=$(whole | ids)

# Two halves make the whole, also over a third file and with other threads.
"$tool" generate "$model" -p "Once upon a time" -n 15 --ignore-eos --json --save "$saved" 2>"$work/err" | ids >"$work/first"
"$tool" generate "$model" --restore "$saved" -n 15 -t 1 --ignore-eos --json --save "$saved" 2>"$work/err" | ids >"$work/second"
"$tool" generate "$model" --restore "$saved" -n 10 --ignore-eos --json 2>"$work/err" | ids >"$work/third"
parts=$(cat "$work/first" "$work/second" "$work/third" | python3 -c '
import ast, sys
print([token for line in sys.stdin for token in ast.literal_eval(line)])')
report "generate goes on where it was saved" "$([ -n "$expected" ] && [ "$expected" = "$parts" ] && echo true)"

# A prompt is appended, without another BOS.
"$tool" generate "$model" -p "Once" -n 1 --save "$saved" >"$work/out" 2>"$work/err"
bos=$("$tool" tokenize "$model" --text "" --bos 2>"$work/err" | tr -d '[:space:]')
json "d['prompt_tokens'][0] != $bos and d['n_prompt'] == len(d['prompt_tokens'])" \
    generate "$model" --restore "$saved" -p " upon a time" -n 2 --json
json "d['n_prompt'] == 2" generate "$model" --restore "$saved" --tokens 5,6 -n 2 --json

# The types and the kernels must be those of the file.
exits 1 "keys in f16" generate "$model" --restore "$saved" --kv-type f32
exits 1 "precision fast" generate "$model" --restore "$saved" --precision full
run generate "$model" --restore "$saved" --precision full --any-kernels -n 4
report "--any-kernels" "$([ "$status" -eq 0 ] && [ -s "$work/out" ] && echo true)"
"$tool" generate "$model" -p "Once" -n 80 --ignore-eos --save "$saved" >"$work/out" 2>"$work/err"
exits 1 "does not fit into a context of 1 token" generate "$model" --restore "$saved" -c 1
"$tool" generate "$model" -p "Once upon a time there was" -n 30 --ignore-eos --save "$saved" >"$work/out" 2>"$work/err"
exits 1 "leaves no room in a --context of 20" generate "$model" --restore "$saved" -c 20
exits 1 "No such file" generate "$model" --restore "$work/none"
exits 1 "no saved sessions" generate "$model" --restore "$model"
exits 2 "--any-kernels needs --restore" generate "$model" --any-kernels
before=$(cksum "$saved")
run generate "$model" -p Once -n 2 --save "$work/none/saved"
report "a folder that is not there" "$([ "$status" -eq 1 ] && grep -q 'No such file' "$work/err" && echo true)"
(ulimit -f 16 && trap '' XFSZ && "$tool" generate "$model" -p Once -n 100 --ignore-eos --save "$saved" >"$work/out" 2>"$work/err")
status=$?
report "a full disk keeps the old file" \
    "$([ $status -eq 1 ] && grep -q 'File too large' "$work/err" && [ "$before" = "$(cksum "$saved")" ] && echo true)"

# The bundled model has no chat template; one of those that fuzzing begins with has.
"${tool%/*}/tests/fuzz/seeds" "$work/seeds"
talker=$work/seeds/gguf/standard
exits 1 "need a model with a chat template" chat "$model" --save "$saved"
printf 'abc\nuser\n' | "$tool" chat "$talker" -n 3 -c 200 >"$work/whole" 2>"$work/err"
printf 'abc\n' | "$tool" chat "$talker" -n 3 -c 200 --save "$saved" >"$work/halves" 2>"$work/err"
printf 'user\n' | "$tool" chat "$talker" -n 3 -c 200 --restore "$saved" --save "$saved" >>"$work/halves" 2>"$work/err"
report "chat resumes a conversation" "$([ -s "$work/whole" ] && cmp -s "$work/whole" "$work/halves" && echo true)"
report "the file has the messages" "$([ "$(grep -ac '^user [0-9]*$' "$saved")" -eq 2 ] && echo true)"
exits 2 "so --system cannot be given" chat "$talker" --restore "$saved" --system "Be brief."
"$tool" generate "$talker" --tokens 4,5 -n 2 --save "$work/text" >"$work/out" 2>"$work/err"
exits 1 "holds no conversation" chat "$talker" --restore "$work/text"
if command -v script >/dev/null; then
    {
        sleep 1
        printf '/exit\n'
        sleep 1
    } | script -qec "$(printf '%q ' "$tool" chat "$talker" -c 200 --restore "$saved")" /dev/null >"$work/out" 2>"$work/err"
    report "a terminal shows the restored messages" "$(grep -q '> abc' "$work/out" && grep -q '> user' "$work/out" && echo true)"
else
    echo "skipped: no script"
fi

finish
