#!/usr/bin/env bash
# The README's program compiles as it stands there without a warning, and runs after make install.
set -euo pipefail
model=$2
build=$3
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
# shellcheck disable=SC2016 # the backquotes are the README's
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >"$stage/story.c"
make -s install BUILD="$build" DESTDIR="$stage" PREFIX=/usr >/dev/null
export PKG_CONFIG_PATH="$stage/usr/lib/pkgconfig"
# shellcheck disable=SC2046
${CC:-cc} -Wall -Wextra -Werror "$stage/story.c" \
    $(pkg-config --define-variable=prefix="$stage/usr" --cflags --libs lckv) -o "$stage/story"
export LD_LIBRARY_PATH="$stage/usr/lib"
"$stage/story" "$model" >"$stage/text"
grep -qE '^Once upon a time.{100,}' "$stage/text"
"$build/lckv" generate "$model" -p "Once upon a time" -n 64 --echo 2>/dev/null | cmp - "$stage/text"
status=0
"$stage/story" "$stage/none" 2>"$stage/said" || status=$?
[ $status -eq 1 ] && grep -q none "$stage/said"
