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

# So they do beyond a context window, when tokens are forgotten.
endless() { "$tool" generate "$model" --context-window 24 --sinks 3 --ignore-eos --json "$@" 2>"$work/err" | ids; }
endless -p "Once upon a time" -n 200 >"$work/whole"
endless -p "Once upon a time" -n 120 --save "$saved" >"$work/first"
endless --restore "$saved" -n 50 -t 1 --save "$saved" >"$work/second"
endless --restore "$saved" -n 30 >"$work/third"
report "a text without end goes on where it was saved" "$(python3 -c '
import ast, sys
whole, *parts = [ast.literal_eval(open(path).read()) for path in sys.argv[1:]]
print("true" if len(whole) == 200 and whole == sum(parts, []) else "false")
' "$work/whole" "$work/first" "$work/second" "$work/third")"
exits 1 "have context_window 24 and n_sinks 3; this cache has 0 and 0" generate "$model" --restore "$saved"
exits 1 "this cache has 24 and 4" generate "$model" --restore "$saved" --context-window 24

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
run generate "$model" -p Once -n 2 --save /dev/full
report "a device is no file to save to" "$([ "$status" -eq 1 ] && grep -q 'no regular file' "$work/err" && echo true)"
report "the old file is still there" "$([ "$before" = "$(cksum "$saved")" ] && echo true)"

# One of the models that fuzzing begins with: its files are small, so they can be cut in many places.
"${tool%/*}/tests/fuzz/seeds" "$work/seeds"
talker=$work/seeds/gguf/standard
tell() { { "$tool" generate "$talker" --ignore-eos "$@" >/dev/null; } 2>&1; }

# A disk that is full at any KiB keeps the old file, and nothing else is left of the new one.
mkdir "$work/disk"
tell --tokens 4,5 -n 2 --save "$work/disk/saved" >/dev/null
before=$(cksum "$work/disk/saved")
is_kept=true
for ((n = 0; n < 100; n++)); do
    message=$(ulimit -f "$n" && trap '' XFSZ && tell --tokens 4,5 -n 60 --save "$work/disk/saved") && break
    [[ $message == *"File too large"* ]] && [ "$before" = "$(cksum "$work/disk/saved")" ] || is_kept=false
done
report "a full disk keeps the old file" "$([ $n -gt 2 ] && [ $n -lt 100 ] && echo $is_kept)"
report "a disk with room takes the new one" \
    "$([ "$before" != "$(cksum "$work/disk/saved")" ] && [ "$(echo "$work"/disk/*)" = "$work/disk/saved" ] && echo true)"
cat >"$work/small_disk" <<'END'
mount -t tmpfs -o size=16k none "$1" && cd "$1" && shift || exit
"$@" -n 2 --save saved && before=$(cksum saved) && ! "$@" -n 600 --save saved &&
    [ "$before" = "$(cksum saved)" ] && [ "$(echo *)" = saved ]
END
if unshare -rm mount -t tmpfs none "$work/disk" 2>/dev/null; then
    unshare -rm bash "$work/small_disk" "$work/disk" "$(realpath "$tool")" generate "$talker" --ignore-eos --tokens 4 \
        >"$work/out" 2>"$work/err"
    status=$?
    report "a small disk keeps it, too" \
        "$([ $status -eq 0 ] && grep -q 'No space left on device' "$work/err" && echo true)"
else
    echo "skipped: no file system of its own"
fi

# A file that was cut anywhere is refused, and stays as it is, even where the new one would be written.
size=$(stat -c %s "$work/disk/saved")
is_refused=true
for at in $(seq 0 100 $((size - 1))) $((size - 1)); do
    head -c "$at" "$work/disk/saved" >"$work/cut"
    before=$(cksum "$work/cut")
    message=$(tell --restore "$work/cut" -n 2 --save "$work/cut") && is_refused=false
    [[ $message == *"$work/cut"* ]] && [ "$before" = "$(cksum "$work/cut")" ] || is_refused=false
done
report "a file that was cut is refused" "$([ "$size" -gt 1000 ] && echo $is_refused)"

# The bundled model has no chat template, this one has.
exits 1 "need a model with a chat template" chat "$model" --save "$saved"
printf 'abc\nuser\n' | "$tool" chat "$talker" -n 3 -c 200 >"$work/whole" 2>"$work/err"
printf 'abc\n' | "$tool" chat "$talker" -n 3 -c 200 --save "$saved" >"$work/halves" 2>"$work/err"
printf 'user\n' | "$tool" chat "$talker" -n 3 -c 200 --restore "$saved" --save "$saved" >>"$work/halves" 2>"$work/err"
report "chat resumes a conversation" "$([ -s "$work/whole" ] && cmp -s "$work/whole" "$work/halves" && echo true)"
report "the file has the messages" "$([ "$(grep -ac '^user [0-9]*$' "$saved")" -eq 2 ] && echo true)"
narrow() { "$tool" chat "$talker" -n 3 --context-window 14 --sinks 2 "$@" 2>"$work/err"; }
printf 'abc\nuser\nabc\nuser\n' | narrow >"$work/whole"
printf 'abc\nuser\nabc\n' | narrow --save "$work/narrow" >"$work/halves"
printf 'user\n' | narrow --restore "$work/narrow" >>"$work/halves"
report "so it does beyond a context window" "$([ -s "$work/whole" ] && cmp -s "$work/whole" "$work/halves" && echo true)"
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
