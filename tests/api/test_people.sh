#!/bin/bash
#
# What a person meets at the `lckv` command: help whose examples run, suggestions, messages that name the cause,
# texts of files that cannot control a terminal, and what a terminal shows. Prints one line for each check.
#
#     tests/api/test_people.sh build/lckv examples/models/MODEL.gguf

# shellcheck source=tests/tool_support.sh
. "$(dirname "$0")/../tool_support.sh"

golden=tests/data/goldens/standard-llama
commands="info plan tokenize detokenize logits generate chat batch perplexity convert bench"

# holds WORD FILE... checks that each file holds the word; lacks checks that none does.
holds() { grep -qF -e "$@"; }
lacks() { ! grep -qF -e "$@"; }

# says WORD COMMAND... checks that the command prints the word.
says() { # WHAT WORD
    report "$1: '$2'" "$(cat "$work/out" "$work/err" | holds "$2" && echo true)"
}

# ---- Help -------------------------------------------------------------------------------------------
exits 0 "Usage: lckv COMMAND" help
exits 0 "Usage: lckv COMMAND" help help
for command in $commands; do
    "$tool" "$command" --help >"$work/expected"
    run help "$command"
    report "help $command is $command --help" "$(cmp -s "$work/expected" "$work/out" && echo true)"
done
exits 2 "no command 'frobnicate'" help frobnicate

# Every example of every command runs in a folder with the files that it names; those that read a file which an
# example writes come after it.
mkdir "$work/examples"
cp "$model" "$work/examples/model.gguf"
"$tool" convert $golden "$work/examples/llama.gguf" >"$work/out"
cp -r tests/data/goldens/lckv-w2 "$work/examples/stories-lckv"
cp -r $golden "$work/examples/Llama-3.2-1B"
for file in prompt story text; do
    for word in one two three four five six seven; do
        echo "Once upon a time there were $word small dogs. They liked to run and to play with $word big cats."
        [ $file = prompt ] && break
    done >"$work/examples/$file.txt"
    for _ in 1 2 3 4; do [ $file = text ] && cat "$work/examples/story.txt"; done >>"$work/examples/$file.txt"
done
for word in dog cat; do
    echo "{\"id\": \"$word\", \"prompt\": \"A small $word\", \"max_tokens\": 5}"
done >"$work/examples/prompts.jsonl"
lckv=$(realpath "$tool")
for command in $commands; do
    "$tool" "$command" --help | sed -n '/^Examples:/,$p' | sed -n 's/^  //p' >"$work/lines"
    report "help $command has examples" "$([ -s "$work/lines" ] && echo true)"
    while read -r line; do
        shorter=""
        case $line in
        *" bench "*) shorter="-p 8 -n 2 -d 0 -b 1 -r 1" ;; # the last use of an option counts
        *" --stop "*) shorter="" ;;
        *" generate "* | *" chat "*) shorter="-n 4" ;;
        esac
        (
            cd "$work/examples" || exit 1
            # shellcheck disable=SC2317 # the examples call it
            lckv() { "$lckv" "$@"; }
            eval "$line $shorter" </dev/null
        ) >"$work/out" 2>"$work/err"
        status=$?
        expected=0
        # The bundled model has no chat template.
        case $line in *--system* | *" chat "*--save*) expected=1 ;; esac
        report "example: $line" "$([ $status -eq $expected ] && echo true)"
    done < <(sed 's/ < story.txt/ --file story.txt/' "$work/lines")
done
report "an example's answers have their ids" \
    "$(grep -qF '"id": "dog"' "$work/examples/answers.jsonl" && grep -qF '"id": "cat"' "$work/examples/answers.jsonl" && echo true)"
report "an example's redirected text has its prompt" "$(holds "The end" "$work/examples/end.txt" && echo true)"

# ---- Suggestions ------------------------------------------------------------------------------------
exits 2 "no command 'genrate'; did you mean generate?" genrate
exits 2 "no command 'gen'; did you mean generate?" gen
exits 2 "did you mean tokenize?" tokenise
exits 2 "unknown option --temperature; did you mean --temp?" generate "$model" --temperature 1
exits 2 "is a file, not a plan; lckv plan --model $model shows" plan "$model"
exits 2 "did you mean help?" hlep
exits 2 "did you mean convert?" help covnert
exits 2 "unknown option --promt; did you mean --prompt?" generate "$model" --promt x
exits 2 "unknown option --n-token=5; did you mean --n-tokens?" generate "$model" --n-token=5
exits 2 "unknown option --hlep; did you mean --help?" plan --hlep
exits 2 "unknown option -prompt; did you mean --prompt?" generate "$model" -prompt x
exits 2 "unknown option -threads=2; did you mean --threads?" generate "$model" -threads=2
exits 2 "unknown option --frobnicate (see" generate "$model" --frobnicate
exits 2 "unknown option -x (see" generate "$model" -x

# ---- Numbers ----------------------------------------------------------------------------------------
for number in 0 -5 5x 1e3 '' ' 5' 99999999999999999999999 4294967296 0x10 1.5; do
    exits 2 "--n-tokens: expected a whole number from 1 to 4294967295, got '$number'" generate "$model" -n "$number"
done
# Some machines grant any amount of memory; 8 GiB of addresses are too few on all of them.
limited() { (ulimit -v 8388608 && exec "$lckv" "$@"); }
tool=limited
exits 1 "a context of 4294967296 tokens needs 6.0 TiB for keys and values (1536 bytes a token)" \
    generate "$model" --tokens 1 -n 4294967295
exits 1 "give a smaller -n or --context" generate "$model" --tokens 1 -n 4294967295
exits 1 "are available, enough for " generate "$model" --tokens 1 -n 4294967295
exits 1 "give a smaller --context" chat "$model" -c 4294967295
tool=$lckv

# ---- A text beyond what the model was trained for (512 tokens) --------------------------------------
note="more than the 512 that the model was trained for"
run generate "$model" --tokens "$(seq -s, 1 508)" -n 4 --ignore-eos
report "512 tokens: no note" "$(lacks "$note" "$work/err" && echo true)"
run generate "$model" --tokens "$(seq -s, 1 508)" -n 5 --ignore-eos
report "513 tokens: one note" "$([ "$(grep -cF "note: 513 tokens are $note" "$work/err")" -eq 1 ] && echo true)"
run perplexity "$model" --tokens-file <(seq 1 600) -c 600
report "perplexity beyond: a note" "$(holds "$note" "$work/err" && echo true)"
run logits "$model" --tokens "$(seq -s, 1 513)" --last -o "$work/x.npy"
report "logits beyond: a note" "$(holds "$note" "$work/err" && echo true)"
for _ in 1 2 3; do seq -s ' ' 1 300; done | "$tool" chat "$model" -n 4 -c 2000 >"$work/out" 2>"$work/err"
report "chat beyond: one note" "$([ "$(grep -cF "$note" "$work/err")" -eq 1 ] && echo true)"

# ---- Perplexities that are large ----------------------------------------------------------------------
# Multiplies the output matrix of a model by a factor: its predictions become as sure as they are wrong.
make_surer() { # FACTOR FOLDER
    cp -r $golden "$2"
    make_input 'import array, json, struct, sys
path, factor = sys.argv[2] + "/model.safetensors", float(sys.argv[1])
data = bytearray(open(path, "rb").read())
(length,) = struct.unpack("<Q", data[:8])
begin, end = json.loads(data[8 : 8 + length])["lm_head.weight"]["data_offsets"]
values = array.array("f", bytes(data[8 + length + begin : 8 + length + end]))
data[8 + length + begin : 8 + length + end] = array.array("f", [v * factor for v in values]).tobytes()
open(path, "wb").write(data)' "$1" "$2"
}
seq 1 100 >"$work/ids"
make_surer 30 "$work/large"
run perplexity "$work/large" --tokens-file "$work/ids" -c 100
report "a large perplexity is short: $(cut -c1-40 "$work/out")" \
    "$(grep -qE '^perplexity [0-9][.][0-9]{5}e[+][0-9]+ over' "$work/out" && echo true)"
make_surer 10000 "$work/huge"
run perplexity "$work/huge" --tokens-file "$work/ids" -c 100
report "a perplexity beyond every double: $(cut -c1-40 "$work/out")" \
    "$(grep -qE '^perplexity e\^[0-9]+[.][0-9] over' "$work/out" && echo true)"
json "d['perplexity'] is None and d['mean_nll'] > 700" perplexity "$work/huge" --tokens-file "$work/ids" -c 100 --json
run perplexity $golden --tokens-file "$work/ids" -c 100
report "a usual one has five decimals" "$(grep -qE '^perplexity [0-9]+[.][0-9]{5} over' "$work/out" && echo true)"

# ---- Texts of files, for people -----------------------------------------------------------------------
# A directory's name is the model's: escape sequences, a forged line, a C1 control, a bidirectional override, a
# separator of lines, and bytes that are no UTF-8.
hostile=$'nice\x1b[2J\x1b]52;c;cHduZWQ=\x07\nplan             0_0\xc2\x9b31m\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xff\x7f\xc3\xa4'
cp -r $golden "$work/$hostile"
"$tool" convert "$work/$hostile" "$work/hostile.gguf" >"$work/out" 2>"$work/err"
clean() { # FILE...: nothing but characters that show as themselves, and newlines
    make_input 'import sys
text = b"".join(open(path, "rb").read() for path in sys.argv[1:]).decode("utf-8")
bad = [c for c in text if c != "\n" and (ord(c) < 32 or 0x7f <= ord(c) < 0xa0 or ord(c) in
       (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))]
sys.exit(f"{bad}" if bad else 0)' "$@"
}
for file in "$work/$hostile" "$work/hostile.gguf"; do
    for way in "info" "info --metadata" "bench -p 4 -n 2 -r 1 -t 1" "plan --model" "generate --tokens 1 -n 1" "chat"; do
        arguments=("${way%% *}")
        for word in $way; do [ "$word" = "${arguments[0]}" ] || arguments+=("$word"); done
        run "${arguments[@]}" "$file"
        report "$way: nothing drives the terminal" "$([ "$status" -eq 0 ] && clean "$work/out" "$work/err" && echo true)"
    done
    run info "$file"
    report "info: one line begins with plan" "$([ "$(grep -c '^plan  ' "$work/out")" -eq 1 ] && echo true)"
    report "info: the escapes" "$(holds 'nice\x1b[2J\x1b]52;c;cHduZWQ=\x07\nplan             0_0\u009b31m\u202e\u2066\u2028\xff\x7fä' "$work/out" && echo true)"
    json "d['name'].startswith('nice\x1b[2J') and d['name'].endswith('\u202e\u2066\u2028\ufffd\x7fä')" info "$file" --json
    report "info --json: nothing drives the terminal" "$(clean "$work/out" && echo true)"
done
run convert "$golden" "$work/$hostile.gguf"
report "convert: nothing drives the terminal" "$([ "$status" -eq 0 ] && clean "$work/out" && echo true)"
for arguments in "info|$work/$hostile/none" "plan|0_$hostile" "$hostile" "plan|--$hostile" "plan|0_1|--context=$hostile" \
    "generate|$model|-f|$work/$hostile/none" "perplexity|$model|-f|/none$hostile" "logits|$model|--tokens|1|-o|/none/$hostile"; do
    mapfile -t -d '|' words < <(printf '%s' "$arguments")
    run "${words[@]}"
    report "a message that quotes: $(printable "$(cat "$work/err")")" \
        "$([ "$status" -ne 0 ] && [ "$(wc -l <"$work/err")" -eq 1 ] && clean "$work/err" && echo true)"
done
long=$(printf 'ä%.0s' $(seq 1 120))
cp -r $golden "$work/$long"
run info "$work/$long"
report "a long name is whole" "$(holds "$long" "$work/out" && echo true)"
cp -r $golden "$work/$(printf '\1%.0s' $(seq 1 200))"
run info "$work/$(printf '\1%.0s' $(seq 1 200))"
report "a name that is too long is cut between two escapes" \
    "$(grep -qE '^name +(\\x01){60,63}[.]{3}$' "$work/out" && echo true)"

# ---- What a terminal shows ----------------------------------------------------------------------------
# on_terminal ARGUMENTS...: writes to $work/out what the command writes to a terminal, without carriage returns.
on_terminal() {
    # shellcheck disable=SC2016 # the inner shell expands it
    script -qec "$(printf '%q ' "$tool" "$@")" /dev/null </dev/null 2>"$work/err" | tr -d '\r' >"$work/out"
}
if command -v script >/dev/null; then
    export TERM=xterm
    unset NO_COLOR
    "$tool" generate "$model" -p "Once upon a time" -n 8 >"$work/plain" 2>"$work/err"
    dim=$'\x1b[2mOnce upon a time\x1b[22m'
    on_terminal generate "$model" -p "Once upon a time" -n 8
    report "generate: the prompt, dim, and the text behind it" "$(holds "$dim$(cat "$work/plain")" "$work/out" && echo true)"
    on_terminal generate "$model" -f <(printf 'Once upon a time') -n 8
    NO_COLOR=1 on_terminal generate "$model" -p "Once upon a time" -n 8
    report "NO_COLOR: the prompt is not dim" \
        "$(holds "Once upon a time$(cat "$work/plain")" "$work/out" && lacks "$dim" "$work/out" && echo true)"
    TERM=dumb on_terminal generate "$model" -p "Once upon a time" -n 8
    report "a dumb terminal: the prompt is not dim" \
        "$(holds "Once upon a time$(cat "$work/plain")" "$work/out" && lacks "$dim" "$work/out" && echo true)"
    on_terminal generate "$model" -p "Once upon a time" -n 8 --json
    report "--json: no prompt before the object" "$(lacks "$dim" "$work/out" && echo true)"
    report "a pipe: no prompt" "$(lacks "Once upon" "$work/plain" && echo true)"
    run generate "$model" -p "Once upon a time" -n 8 --echo
    report "--echo: the prompt in a pipe too" "$([ "$(cat "$work/out")" = "Once upon a time$(cat "$work/plain")" ] && echo true)"

    # A terminal gets the text of a model with escapes, but newlines and tabs work; a pipe gets its bytes.
    wild=$'a\x1b[2J\x07\tb\nc\xe2\x80\xae\xc3\xa4'
    ids=$("$tool" tokenize "$model" --no-bos --no-special --text "$wild")
    run detokenize "$model" --tokens "$ids"
    report "detokenize to a pipe: the bytes" "$([ "$(cat "$work/out")" = "$wild" ] && echo true)"
    on_terminal detokenize "$model" --tokens "$ids"
    report "detokenize to a terminal: escapes" "$(grep -qF 'a\x1b[2J\x07' "$work/out" && grep -qF 'c\u202eä' "$work/out" && echo true)"
    on_terminal generate "$model" --tokens "$ids" -n 1
    report "generate: a prompt of tokens, with escapes" "$(holds 'c\u202eä' "$work/out" && lacks $'\x07' "$work/out" && echo true)"

    # Chat: the commands.
    {
        sleep 1
        printf '%s\n' /hlep /help /what
        sleep 1
        printf '/exit\nnot read\n'
        sleep 1
    } | script -qec "$(printf '%q ' "$tool" chat "$model" -n 4)" /dev/null >"$work/out" 2>"$work/err"
    says "chat at a terminal" "no command /hlep; did you mean /help?"
    says "chat at a terminal" "/reset  begins a new conversation"
    says "chat at a terminal" "no command /what; /help lists them"
    report "chat ends at /exit" "$(lacks "> not read" "$work/out" && echo true)"
else
    echo "skipped: no script(1) for a terminal"
fi
printf '/help\n/exit\nOnce\n' | "$tool" chat "$model" -n 4 >"$work/out" 2>"$work/err"
report "chat in a pipe: /help and /exit" "$([ ! -s "$work/out" ] && holds "/exit   ends" "$work/err" && echo true)"

finish
