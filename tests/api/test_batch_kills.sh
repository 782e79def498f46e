#!/bin/bash
#
# Kills `lckv batch` at random moments, goes on each time, and compares the answers with those of a run that nothing
# disturbed: none may be lost, given twice or different. KILLS says how often (5 in `make check`), SEED when.
#
#     KILLS=50 tests/api/test_batch_kills.sh build/lckv examples/models/MODEL.gguf

# shellcheck source=tests/tool_support.sh
. "$(dirname "$0")/../tool_support.sh"
kills=${KILLS-5}
RANDOM=${SEED-1}

# Twenty prompts for each kill: about as many as are answered before it comes.
python3 - "$kills" >"$work/prompts" <<'END'
import json, random, sys
random.seed(int(sys.argv[1]))
for i in range(40 + 20 * int(sys.argv[1])):
    line = {"prompt": random.choice(["Once", "One day", "The old tree"]), "max_tokens": random.randint(1, 120),
            "temperature": random.choice([0, 1]), "seed": i}
    if i % 10 == 9:
        line["top_p"] = 2
    print(json.dumps(line))
END
batch() { # OUTPUT; call it in a shell of its own
    exec "$tool" batch "$model" -f "$work/prompts" -o "$1" --memory 6MiB --sessions 12 >"$work/out" 2>"$work/err"
}

begin=$(date +%s%N)
(batch "$work/undisturbed")
status=$?
# The longest wait before a kill: so short that the answers last for all of them, however fast the machine is.
wait_ms=$((($(date +%s%N) - begin) / 2000000 / kills + 1))
report "undisturbed: exit 1, because some lines have errors" "$([ $status -eq 1 ] && echo true)"
n_killed=0
for ((i = 0; i < kills; i++)); do
    touch "$work/killed"
    before=$(wc -l <"$work/killed")
    (batch "$work/killed") &
    process=$!
    # In most cases wait for some more answers, so that each run has done something; then for up to wait_ms.
    for _ in $(seq 1 400); do
        [ "$(wc -l <"$work/killed")" -gt $((before + RANDOM % 12)) ] && break
        kill -0 $process 2>/dev/null || break
        sleep 0.01
    done
    pause=$((RANDOM % wait_ms))
    sleep "$((pause / 1000)).$(printf '%03d' $((pause % 1000)))"
    kill -KILL $process 2>/dev/null
    wait $process 2>/dev/null
    [ $? -eq 137 ] && n_killed=$((n_killed + 1))
    # A power failure may leave a part of the last line; a killed process seldom does.
    size=$(stat -c %s "$work/killed")
    [ $((i % 3)) -eq 0 ] && [ "$size" -gt 50 ] && truncate -s $((size - RANDOM % 50)) "$work/killed"
done
report "killed $n_killed times of $kills" "$([ $((n_killed * 2)) -gt "$kills" ] && echo true)"
(batch "$work/killed")
report "the last run ends as the undisturbed one" "$([ $? -eq 1 ] && echo true)"
report "exactly the answers of the undisturbed run" "$(
    python3 - "$work/undisturbed" "$work/killed" 2>"$work/err" <<'END'
import json, sys
def load(path):
    lines = [json.loads(line) for line in open(path)]
    for line in lines:
        line.pop("seconds", None)
    return sorted(json.dumps(line, sort_keys=True) for line in lines)
a, b = map(load, sys.argv[1:])
assert a == b, [x for x in a + b if (x in a) != (x in b)][:3]
assert len(set(a)) == len(a)
print("true")
END
)"
finish
