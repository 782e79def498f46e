#!/bin/bash
#
# What `lckv batch` promises: the answers are those of `lckv generate --prefill exact`, whatever runs beside them; what
# is wrong with one line harms no other; and whatever ends a run, the same command goes on from there. Prints one line
# for each check.
#
#     tests/api/test_batch.sh build/lckv examples/models/MODEL.gguf

# shellcheck source=tests/tool_support.sh
. "$(dirname "$0")/../tool_support.sh"
lckv=$(realpath "$tool")
golden=tests/data/goldens/standard-llama

# same A B: both outputs have the same lines, in any order, but for the seconds.
same() {
    python3 - "$1" "$2" <<'END' 2>>"$work/err"
import json, sys
def load(path):
    lines = [json.loads(line) for line in open(path, encoding="utf-8", errors="strict")]
    for line in lines:
        line.pop("seconds", None)
    return sorted(json.dumps(line, sort_keys=True) for line in lines)
a, b = load(sys.argv[1]), load(sys.argv[2])
sys.exit(a != b or len(a) == 0)
END
}

# holds EXPRESSION FILE: the Python expression is true for `a`, the answers by their ids, of which no two are the same.
holds() {
    python3 - "$1" "$2" <<'END' 2>>"$work/err"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[2])]
a = {line["id"]: line for line in lines if "error" not in line}
e = {line["id"]: line["error"] for line in lines if "error" in line}
n = len(lines)
assert len(a) == sum("error" not in line for line in lines)
sys.exit(not eval(sys.argv[1]))
END
}

# check WHAT COMMAND...: the command succeeds.
check() {
    local what=$1
    shift
    report "$what" "$("$@" && echo true)"
}

# ---- Answers ----------------------------------------------------------------------------------------
python3 - >"$work/prompts" <<'END'
import json
for i in range(40):
    line = {"id": f"p{i}" if i % 2 else i, "prompt": "Once upon a time" + " there was a dog" * (i % 9)}
    line["max_tokens"] = 1 + 11 * i % 60
    if i % 3:
        line |= {"temperature": 0.9, "seed": i << 58, "top_k": 50 * (i % 2), "top_p": 0.95, "min_p": 0.01}
    if i % 5 == 0:
        line["stop"] = "." if i % 2 else [", ", " and", "day"]
    if i % 7 == 0:
        del line["prompt"]
        line["tokens"] = [3 + i, 17, 300 + i]
    print(json.dumps(line))
END
run batch "$model" -f "$work/prompts" -o "$work/a" --json
check "40 prompts: exit 0" test "$status" -eq 0
check "40 prompts: a summary as JSON" python3 -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not (d['prompts'] == d['answers'] == 40 and d['errors'] == d['answered_before'] == 0 and 10 < d['mean_sessions'] < d['most_sessions'] <= 40))" "$work/out"
check "40 prompts: a line each" holds "len(a) == n == 40 and all(len(x['tokens']) == x['completion_tokens'] for x in a.values())" "$work/a"

# A terminal shows how far it is, and how long it will take.
if command -v script >/dev/null; then
    rm -f "$work/b"
    for i in $(seq 1 40); do # many times the tenth of a second after which a line is renewed
        echo "{\"prompt\": \"One day\", \"max_tokens\": $((200 + i))}"
    done >"$work/slow"
    # shellcheck disable=SC2016 # the inner shell expands it
    script -qec "$(printf '%q ' "$tool" batch "$model" -f "$work/slow" -o "$work/b" -s 2 --ignore-eos)" /dev/null </dev/null >"$work/out" 2>"$work/err"
    check "a terminal shows the progress" grep -qE '[1-9][0-9]* of 40 prompts, 2 at once, [0-9]+ tokens/s, [0-9]+ s left' "$work/out"
fi
run batch "$model" -f "$work/prompts" -o "$work/b"
check "a pipe does not" test "$(wc -l <"$work/err")" -eq 1

# The same prompts one by one, with the options of lckv generate.
python3 - "$work/prompts" "$work/a" "$lckv" "$model" >"$work/out" 2>"$work/err" <<'END'
import json, subprocess, sys
prompts, answers, tool, model = sys.argv[1:]
a = {line["id"]: line for line in map(json.loads, open(answers))}
options = {"max_tokens": "-n", "temperature": "--temp", "seed": "--seed", "top_k": "--top-k", "top_p": "--top-p",
           "min_p": "--min-p", "prompt": "-p"}
for line in map(json.loads, open(prompts)):
    command = [tool, "generate", model, "--json", "--prefill", "exact"]
    for name, option in options.items():
        if name in line:
            command += [option, str(line[name])]
    if "tokens" in line:
        command += ["--tokens", ",".join(map(str, line["tokens"]))]
    for stop in [line["stop"]] if isinstance(line.get("stop"), str) else line.get("stop", []):
        command += ["--stop", stop]
    g = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    x = a[line["id"]]
    assert (g["text"], g["tokens"], g["reason"], g["n_prompt"]) == (
        x["text"], x["tokens"], x["reason"], x["prompt_tokens"]), (g, x)
    print(g["reason"])
END
check "answers are those of lckv generate" test $? -eq 0
for reason in end length stop; do
    check "some of them end with $reason" grep -q $reason "$work/out"
done

# Whatever is computed beside a prompt, its answer is the same; 8 MiB hold a few sessions.
for way in "--sessions 1" "--sessions 3 -t 1" "--memory 8MiB"; do
    rm -f "$work/b"
    # shellcheck disable=SC2086
    run batch "$model" -f "$work/prompts" -o "$work/b" $way
    check "the same answers with $way" same "$work/a" "$work/b"
done

# Long texts outgrow a small cache: the youngest sessions give way and begin again.
for i in 0 1 2 3 4 5 6 7 8 9; do
    echo "{\"prompt\": \"Tom and the dog\", \"temperature\": 1, \"seed\": $i, \"max_tokens\": $((180 + 10 * i))}"
done >"$work/long"
run batch "$model" -f "$work/long" -o "$work/large" --ignore-eos
run batch "$model" -f "$work/long" -o "$work/small" --ignore-eos --memory 5MiB --sessions 10 --json
check "a small cache: sessions give way" python3 -c "import json, sys
sys.exit(json.load(open(sys.argv[1]))['begun_again'] == 0)" "$work/out"
check "a small cache: the same answers" same "$work/large" "$work/small"
python3 - >"$work/alike" <<'END'
import json
for i in range(20):
    print(json.dumps({"prompt": "Once upon a time there was a dog. " * 20 + "One day" * (i % 4), "max_tokens": 3 + i % 5}))
END
rm -f "$work/large" "$work/small"
run batch "$model" -f "$work/alike" -o "$work/small" --json
check "prompts that are computed together and begin alike: once" python3 -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not (d['reused_tokens'] > 0.9 * d['prompt_tokens'] and d['most_sessions'] > 2))" "$work/out"
run batch "$model" -f "$work/alike" -o "$work/large" --sessions 1
check "prompts that begin alike: the same answers" same "$work/large" "$work/small"
rm -f "$work/b"
run batch "$model" -f "$work/prompts" -o "$work/b" --sessions 2 --json
check "prompts that begin alike are not computed twice" python3 -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not d['prompt_tokens'] / 4 < d['reused_tokens'] < d['prompt_tokens'])" "$work/out"
check "prompts that begin alike: the same answers" same "$work/a" "$work/b"

# Plans with windows and upward layers; without a tokenizer there are tokens, and no text.
for plan in standard-llama lckv-w2 yoco-windows cycle3-window; do
    for i in 1 2 3 4 5 6 7; do
        echo "{\"tokens\": [$(seq -s, 1 $((i * i * 3)))], \"max_tokens\": $((4 * i)), \"temperature\": 1}"
    done >"$work/tokens"
    rm -f "$work/large" "$work/small"
    run batch tests/data/goldens/$plan -f "$work/tokens" --ignore-eos -o "$work/large"
    run batch tests/data/goldens/$plan -f "$work/tokens" --ignore-eos -o "$work/small" --sessions 1
    check "$plan: the same answers alone and together" same "$work/large" "$work/small"
    check "$plan: tokens and no text" holds "n == 7 and all('text' not in x and len(x['tokens']) == 4 * i for i, x in a.items())" "$work/large"
done

# Tokens drawn at random end in the middle of characters, and spell no UTF-8.
for i in $(seq 1 150); do
    echo "{\"prompt\": \"é\", \"temperature\": 1000, \"seed\": $i, \"max_tokens\": $((i % 3 + 1))}"
done >"$work/wild"
rm -f "$work/b"
run batch "$model" -f "$work/wild" -o "$work/b"
check "random bytes: valid UTF-8, and U+FFFD in it" holds "n == 150 and any('\ufffd' in x['text'] for x in a.values())" "$work/b"
i=$(python3 -c "import json, sys
print(next(x['id'] for x in map(json.loads, open(sys.argv[1])) if x['text'].endswith('\ufffd')))" "$work/b")
json "d['text'] == next(x['text'] for x in map(json.loads, open('$work/b')) if x['id'] == $i)" \
    generate "$model" -p é --temp 1000 --seed "$i" -n $((i % 3 + 1)) --json

# ---- Chat -------------------------------------------------------------------------------------------
cp -r $golden "$work/chat"
python3 - "$work/chat" <<'END'
import json, sys
letters = ["Ġ"] + [chr(c) for c in range(33, 127)]
vocabulary = {letter: i for i, letter in enumerate(letters)}
added = [{"id": 95 + i, "content": text, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
          "normalized": False} for i, text in enumerate(["<|im_start|>", "<|im_end|>"])]
byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
json.dump({"version": "1.0", "added_tokens": added, "normalizer": None, "pre_tokenizer": byte_level,
           "post_processor": None, "decoder": byte_level,
           "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}, open(sys.argv[1] + "/tokenizer.json", "w"))
json.dump({"eos_token": "<|im_end|>", "chat_template":
           "{% for m in messages %}<|im_start|>{{ m['role'] }} {{ m['content'] }}<|im_end|>{% endfor %}"
           "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"},
          open(sys.argv[1] + "/tokenizer_config.json", "w"))
END
messages='[{"role": "system", "content": "Be brief."}, {"content": "Hi<|im_end|>", "role": "user"}]'
echo "{\"id\": \"c\", \"messages\": $messages, \"max_tokens\": 3}" >"$work/m"
run batch "$work/chat" -f "$work/m" -o "$work/c"
check "messages go through the chat template" holds "a['c']['prompt_tokens'] == 18 + 19 + 11" "$work/c"
rm "$work/c"

# ---- Lines that are wrong ---------------------------------------------------------------------------
cat >"$work/bad" <<'END'
{"prompt": "Once", "id": "good"}

not JSON
{"id": "x1", "prompt": "a", "tokens": [1]}
{"id": "x2"}
{"id": "x3", "prompt": "a", "max_token": 5}
{"id": "x4", "prompt": "a", "max_tokens": 0}
{"id": "x5", "prompt": "a", "temperature": "hot"}
{"id": "x6", "prompt": "a", "stop": [""]}
{"id": "x7", "tokens": [1, 4096]}
{"id": "x8", "tokens": [1, -1]}
{"id": "x9", "messages": [{"role": "user"}]}
{"id": "x10", "messages": [{"role": "user", "content": "Hi"}]}
{"id": "good", "prompt": "Twice"}
{"id": [1], "prompt": "a"}
{"prompt": "a", "prompt": "b", "id": "x11"}
{"prompt": "a", "id": "x12"
{"prompt": 1, "id": "x13"}
{"prompt": "a", "top_p": 1.5, "id": "x14"}
{"prompt": "a", "seed": 18446744073709551616, "id": "x15"}
[]
{"prompt": "The end", "id": 99.5, "seed": null, "max_tokens": 3}
{"id": "x16", "prompt": "\ud800"}
END
printf '{"id": "x17", "prompt": "\xff"}\n{"id": "x18", "prompt": "%s"}\n{"prompt": "", "max_tokens": 2}' \
    "$(seq 1 2000 | tr '\n' ' ')" >>"$work/bad"
run batch "$model" -f "$work/bad" -o "$work/e" --memory 4200KiB --sessions 4
check "lines with errors: exit 1, and the figures tell" test "$status" -eq 1 -a -n "$(grep '22 lines with an error' "$work/err")"
check "the other lines have answers" holds "set(a) == {'good', 99.5, 26} and n == 25" "$work/e"
while IFS='|' read -r id word; do
    check "error of $id: $word" holds "'''$word''' in e[$id]" "$work/e"
done <<'END'
3|expected a JSON object
'x1'|one of prompt, tokens and messages
'x2'|one of prompt, tokens and messages
'x3'|unknown member "max_token"; did you mean max_tokens?
'x4'|max_tokens: expected a whole number from 1 to 4294967295
'x5'|temperature: expected a number from 0 to 1000
'x6'|stop: expected a string that is not empty
'x7'|4096 is no token; the model has 4096
'x8'|tokens: expected a whole number from 0
'x9'|messages: expected objects with the strings "role" and "content"
'x10'|chat template
'good'|the id is that of line 1 already
15|id: expected a string or a number
'x11'|prompt is given twice
'x12'|not valid JSON: column 28: expected a comma or }
'x13'|prompt: expected a string
'x14'|top_p: expected a number from 0 to 1
'x15'|seed: expected a whole number from 0 to 18446744073709551615
21|expected a JSON object
'x16'|not valid JSON: column 32: expected an escape that JSON has
'x17'|expected UTF-8 in a string
'x18'|more than the
END
cp "$work/e" "$work/e1"
run batch "$model" -f "$work/bad" -o "$work/e" --memory 4200KiB --sessions 4
check "again: nothing is written twice, and still exit 1" test "$status" -eq 1 -a -z "$(cmp "$work/e" "$work/e1")"
sed -i 's/"max_token":/"max_tokens":/' "$work/bad"
run batch "$model" -f "$work/bad" -o "$work/e" --memory 4200KiB --sessions 4
check "a line that was mended gets its answer" holds "set(a) == {'good', 99.5, 26, 'x3'} and n == 26" "$work/e"
python3 -c "print('{\"prompt\": \"' + 'a' * (17 << 20) + '\"}\n{\"prompt\": \"Once\", \"max_tokens\": 2}')" |
    "$tool" batch "$model" 2>"$work/err" >"$work/b"
check "a line that is too long is skipped" holds "e[1] == 'the line is longer than 16 MiB' and a[2]['completion_tokens'] == 2" "$work/b"
printf '\xef\xbb\xbf{"prompt": "Once", "max_tokens": 2}\r\n\r\n' | "$tool" batch "$model" 2>"$work/err" >"$work/b"
check "a byte order mark and CRLF do no harm" holds "n == 1 and a[1]['completion_tokens'] == 2" "$work/b"
run batch "$model" -f /dev/null -o "$work/none"
check "no prompts: exit 0 and an empty file" test "$status" -eq 0 -a ! -s "$work/none"

# Without a tokenizer there are no texts to take.
echo '{"prompt": "a"}' >"$work/m"
run batch $golden -f "$work/m" -o "$work/c"
check "no tokenizer: a prompt of text is an error" holds "'tokenizer' in e[1]" "$work/c"

# ---- Runs that end early ----------------------------------------------------------------------------
exits 2 "--json needs --output" batch "$model" --json
exits 1 "cannot read $work/nonexistent" batch "$model" -f "$work/nonexistent" -o "$work/b2"
exits 1 "cannot write $work/none/b" batch "$model" -f "$work/prompts" -o "$work/none/b"
exits 1 "give more --memory or fewer --sessions" batch "$model" -f "$work/prompts" -o "$work/b2" --memory 1MiB

# A file that ends in the middle of a line: in its first bytes, in its last, or between.
for line in 1 14 27 40; do
    whole=$(head -n $((line - 1)) "$work/a" | wc -c)
    size=$(sed -n "${line}p" "$work/a" | wc -c)
    head -c $((whole + 1 + (size - 2) * line / 40)) "$work/a" >"$work/b"
    run batch "$model" -f "$work/prompts" -o "$work/b"
    check "a file cut in line $line: the same answers" same "$work/a" "$work/b"
    check "a file cut in line $line: a note" grep -q "the last line of $work/b is unfinished" "$work/err"
done

# Files of others are not touched.
for text in precious 'precious\n' '{"id": 5}\n' '{"id": 5, "text": "x", "key": "12"}\n' '[1]\n{"id'; do
    # shellcheck disable=SC2059
    printf "$text" >"$work/b"
    cp "$work/b" "$work/b1"
    exits 1 "was not written by lckv batch" batch "$model" -f "$work/prompts" -o "$work/b"
    check "  the file is as before" cmp -s "$work/b" "$work/b1"
done

# What has an answer must be what was asked.
cp "$work/a" "$work/b"
sed '5s/Once/Twice/' "$work/prompts" >"$work/changed"
exits 1 "line 5 of $work/changed: $work/b has an answer for the id 4, but for another prompt" \
    batch "$model" -f "$work/changed" -o "$work/b"
exits 1 "for another prompt, model or options" batch "$model" -f "$work/prompts" -o "$work/b" --kv-type f32
check "the answers are as before" cmp -s "$work/a" "$work/b"
python3 - $golden "$work/twin" <<'END'
import json, os, shutil, struct, sys
twin = os.path.join(sys.argv[2], os.path.basename(sys.argv[1]))
shutil.copytree(sys.argv[1], twin)
with open(os.path.join(twin, "model.safetensors"), "r+b") as file:
    length = struct.unpack("<Q", file.read(8))[0]
    norm = json.loads(file.read(length))["model.norm.weight"]
    file.seek(8 + length + norm["data_offsets"][0])
    byte = file.read(1)[0]
    file.seek(-1, 1)
    file.write(bytes([byte ^ 1]))
END
echo '{"tokens": [5, 17, 3], "max_tokens": 4}' >"$work/m"
rm -f "$work/c"
run batch $golden -f "$work/m" -o "$work/c"
cp "$work/c" "$work/c1"
exits 1 "for another prompt, model or options" batch "$work/twin/$(basename $golden)" -f "$work/m" -o "$work/c"
run batch $golden -f "$work/m" -o "$work/c" --json
check "other weights are another model, though name and shape are the same" \
    test "$status" -eq 0 -a -z "$(cmp "$work/c" "$work/c1")" -a -n "$(grep '"answered_before": 1' "$work/out")"
run convert $golden "$work/packed.gguf" --packed
run batch "$work/packed.gguf" -f "$work/m" -o "$work/c" --json --stream-weights
check "the same weights, packed and streamed, are the same model" \
    test "$status" -eq 0 -a -z "$(cmp "$work/c" "$work/c1")" -a -n "$(grep '"answered_before": 1' "$work/out")"
sed '1d' "$work/prompts" | tac >"$work/changed"
run batch "$model" -f "$work/changed" -o "$work/b"
check "another order and fewer lines are no change" test "$status" -eq 0 -a -z "$(cmp "$work/a" "$work/b")"

# A full disk, and the limit of a process for files.
[ -w /dev/full ] && exits 1 "cannot write /dev/full" batch "$model" -f "$work/prompts" -o /dev/full
rm -f "$work/b"
(ulimit -f 8 && exec "$lckv" batch "$model" -f "$work/prompts" -o "$work/b") >"$work/out" 2>"$work/err"
status=$?
check "a full disk: exit 1, and how to go on" \
    test "$status" -eq 1 -a -n "$(grep 'File too large.*the same command goes on from there' "$work/err")"
check "a full disk: whole lines" holds "0 < n < 40" "$work/b"
run batch "$model" -f "$work/prompts" -o "$work/b"
check "a full disk: the same answers later" same "$work/a" "$work/b"

# Two processes do not write to one file.
if command -v flock >/dev/null; then
    flock "$work/b" sleep 2 &
    sleep 0.5
    exits 1 "is being written by another lckv batch" batch "$model" -f "$work/prompts" -o "$work/b"
    wait
fi

# Ctrl-C.
rm -f "$work/b" "$work/b1"
for i in 0 1 2 3 4 5 6 7; do
    echo "{\"prompt\": \"Tom and the dog\", \"temperature\": 1, \"seed\": $i, \"max_tokens\": $((30 + 100 * i))}"
done >"$work/long"
(
    trap - INT
    exec "$lckv" batch "$model" -f "$work/long" -o "$work/b" --ignore-eos --sessions 4
) >"$work/out" 2>"$work/err" &
process=$!
for _ in $(seq 1 200); do
    [ -s "$work/b" ] && break
    sleep 0.05
done
python3 -c "import os, signal, sys; os.kill(int(sys.argv[1]), signal.SIGINT)" $process
wait $process
status=$?
check "Ctrl-C: exit 130, and how to go on" \
    test "$status" -eq 130 -a -n "$(grep "interrupted; the same command goes on from what $work/b has" "$work/err")"
check "Ctrl-C: whole lines" holds "0 < n < 8" "$work/b"
run batch "$model" -f "$work/long" -o "$work/b" --ignore-eos
run batch "$model" -f "$work/long" -o "$work/b1" --ignore-eos
check "Ctrl-C: the same answers later" same "$work/b" "$work/b1"

# ---- Streams ----------------------------------------------------------------------------------------
"$tool" batch "$model" <"$work/prompts" 2>"$work/err" | cat >"$work/b"
check "from standard input to standard output" same "$work/a" "$work/b"
mkfifo "$work/pipe"
cat "$work/pipe" >"$work/b" &
run batch "$model" -f "$work/prompts" -o "$work/pipe"
wait
check "to a pipe" same "$work/a" "$work/b"
# A prompt that is there is answered while the next is awaited.
{
    head -n 1 "$work/prompts"
    for _ in $(seq 1 200); do
        [ -s "$work/b" ] && break
        sleep 0.05
    done
    [ -s "$work/b" ] && touch "$work/answered"
    tail -n +2 "$work/prompts"
} | "$tool" batch "$model" -o "$work/b1" 2>"$work/err" &
rm -f "$work/b1"
: >"$work/b"
for _ in $(seq 1 200); do
    [ -s "$work/b1" ] && break
    sleep 0.05
done
echo >"$work/b"
wait
check "a slow input does not make answers wait" same "$work/a" "$work/b1"

finish
