#!/bin/bash
#
# What the scripts that test the lckv command share. Source it with the script's own arguments, TOOL and MODEL;
# end the script with `finish`.

set -u
if [ $# -ne 2 ]; then
    echo "usage: $0 TOOL MODEL" >&2
    exit 2
fi
tool=$1
export model=$2
failures=0
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

report() { # WHAT TRUE-OR-FALSE
    if [ "$2" = true ]; then
        echo "ok    $1"
    else
        echo "FAIL  $1"
        sed 's/^/      /' "$work/err" 2>/dev/null | head -n 5
        failures=$((failures + 1))
    fi
}

# Prints the beginning of a text, without characters that a terminal would obey.
printable() { printf '%s' "$*" | LC_ALL=C tr -cd '[:print:]' | cut -c1-60; }

# Runs the tool; its output is in $work/out and $work/err, its exit status in $status.
run() {
    "$tool" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# exits STATUS WORD ARGUMENTS...: checks the exit status, and that standard error (for failures) or standard output
# (for successes) holds the word.
exits() {
    local expected=$1 word=$2 file=$work/err
    shift 2
    run "$@"
    [ "$expected" -eq 0 ] && file=$work/out
    local ok=false
    if [ "$status" -eq "$expected" ] && grep -qF -e "$word" "$file"; then
        ok=true
        # A failure prints nothing but its message.
        if [ "$expected" -ne 0 ] && { [ -s "$work/out" ] || ! grep -q '^lckv: ' "$work/err"; }; then
            ok=false
        fi
    fi
    report "exit $expected, '$word': lckv $(printable "$*")" $ok
}

# json EXPRESSION ARGUMENTS...: checks that the output is JSON, for which the Python expression over `d` is true.
json() {
    local expression=$1 ok=false
    shift
    run "$@"
    if [ "$status" -eq 0 ] && python3 -m json.tool "$work/out" >"$work/json" &&
        python3 -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not ($expression))" "$work/out" 2>>"$work/err"; then
        ok=true
    fi
    report "JSON, $expression: lckv $(printable "$*")" $ok
}

# make_input CODE ARGUMENTS...: makes small faulty inputs with Python.
make_input() {
    python3 -c "$@" 2>"$work/err"
}

finish() {
    if [ $failures -ne 0 ]; then
        echo "$failures checks failed"
        exit 1
    fi
}
