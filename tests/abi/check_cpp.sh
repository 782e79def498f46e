#!/usr/bin/env bash
# What docs/cpp.md shows compiles from the installed files without a warning, and runs: the first program writes what the
# lckv command writes, and the server answers every request, in a large cache and in one that is often full.
set -euo pipefail
model=$2
build=$3
# shellcheck disable=SC2086 # CXX may be a command with arguments
if ! command -v ${CXX:-c++} >/dev/null; then
    echo "skipped: no C++ compiler"
    exit 0
fi
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
make -s install BUILD="$build" DESTDIR="$stage" PREFIX=/usr >/dev/null
export PKG_CONFIG_PATH="$stage/usr/lib/pkgconfig" LD_LIBRARY_PATH="$stage/usr/lib"
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wold-style-cast -Wshadow -Werror"
compile() {
    # shellcheck disable=SC2046,SC2086
    ${CXX:-c++} -std=c++17 $warnings "$@" $(pkg-config --define-variable=prefix="$stage/usr" --cflags --libs lckv)
}

# A block is a program if it has a main, else the inside of a function.
awk -v stage="$stage" '
    /^```cpp$/ { n++; file = stage "/block-" n ".txt"; inside = 1; next }
    /^```$/ { inside = 0 }
    inside { print > file }' docs/cpp.md
programs=()
for header in algorithm cmath iostream lckv.hpp sstream stdexcept thread; do
    echo "#include <$header>"
done >"$stage/parts.cpp"
for ((n = 1; ; n++)); do
    block=$stage/block-$n.txt
    [ -e "$block" ] || break
    if grep -q '^int main' "$block"; then
        cp "$block" "$stage/program-${#programs[@]}.cpp"
        compile "$stage/program-${#programs[@]}.cpp" -o "$stage/program-${#programs[@]}"
        programs+=("$stage/program-${#programs[@]}")
    else
        {
            echo "static void part_$n(const lckv::model &model, lckv::cache &cache, lckv::session session, lckv::sampler sampler)"
            echo "{"
            echo "    (void)model, (void)cache, (void)session, (void)sampler;"
            cat "$block"
            echo "}"
        } >>"$stage/parts.cpp"
        calls="${calls-}    part_$n(model, cache, lckv::session(cache), lckv::sampler(options));
"
    fi
done
cat >>"$stage/parts.cpp" <<END_OF_MAIN
int main(int, char **argv)
{
    const lckv::model model(argv[1]);
    lckv::cache cache(model);
    const lckv::sampler_options options;
$calls}
END_OF_MAIN
compile -Wno-unused-variable "$stage/parts.cpp" -pthread -o "$stage/parts"
"$stage/parts" "$model" >"$stage/said" 2>&1 || { cat "$stage/said"; exit 1; }
grep -q '^the client has left; the session has [1-9]' "$stage/said"

[ ${#programs[@]} -eq 2 ]
"${programs[0]}" "$model" >"$stage/text"
"$build/lckv" generate "$model" -p "Once upon a time" -n 64 --echo 2>/dev/null | cmp - "$stage/text"
for tokens in 4096 100; do
    "${programs[1]}" "$model" $tokens >"$stage/answers"
    for begin in "Once upon a time" "One day, a little dog" "Tom and Mia" "The old tree" "In a small house" "A brave mouse"; do
        [ "$(grep -cE "^> $begin.{40,}" "$stage/answers")" -eq 1 ] || { echo "no answer to: $begin"; cat "$stage/answers"; exit 1; }
    done
done
