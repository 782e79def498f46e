#!/usr/bin/env bash
# lckv(3) names every function of lckv.h once, in its order, its program compiles and runs, and both man pages are well
# formed. check_man.sh LCKV MODEL BUILD.
set -euo pipefail
model=$2
build=$(realpath "$3")
page=docs/man/lckv.3
declared=$(grep -v '^#' include/lckv.h | tr '\n' ' ' | grep -oE 'LCKV_API [^;(]*\(' | grep -oE 'lckv_[a-z0-9_]+ *\($' | tr -d ' (')
named=$(sed '/^\.Sh RETURN/,$d' $page | sed -n 's/^\.Fn \(lckv_[a-z0-9_]*\).*/\1/p')
[ "$named" = "$declared" ] || { echo "FAIL  $page and lckv.h:"; diff <(echo "$named") <(echo "$declared"); exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed -n '/^\.Bd -literal/,/^\.Ed/p' $page | sed '1d;$d; s/\\e/\\/g' >"$folder/program.c"
${CC:-cc} -Wall -Wextra -Werror -Iinclude "$folder/program.c" -L"$build" -llckv -o "$folder/program"
LD_LIBRARY_PATH=$build "$folder/program" "$model" >"$folder/text"
"$1" generate "$model" -p "Once upon a time" -n 64 >"$folder/expected" 2>/dev/null
cmp -n "$(stat -c %s "$folder/text")" "$folder/expected" "$folder/text"
[ -s "$folder/text" ]

if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning docs/man/lckv.[13]
else
    echo "skipped: no mandoc, so the form of the man pages"
fi
