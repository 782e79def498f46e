#!/usr/bin/env bash
# Does what make lint checks: formatting, the order of folders in includes and in calls, calls that the library must
# not make, prefaces, the exports, and what cppcheck and shellcheck find. Run it as lint.sh BUILD; BUILD holds the
# objects.
set -u
build=$1
failed=0
complain() {
    failed=1
    echo "lint: $1"
    if [ -n "${2-}" ]; then printf '%s\n' "$2" | sed 's/^/    /' | head -20; fi
}

for tool in clang-format cppcheck shellcheck; do
    command -v "$tool" >/dev/null || complain "$tool is missing: apt-get install -y \$(cat packages.txt)"
done
[ $failed -eq 0 ] || exit 1

folders=(include lib tools examples tests bench)
mapfile -t sources < <(find "${folders[@]}" -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.hpp' | sort)
mapfile -t scripts < <(find "${folders[@]}" .ci/run -name '*.sh' -o -path .ci/run | sort)

unformatted=$(clang-format --dry-run -Werror "${sources[@]}" 2>&1 | grep -o '^[^ :]*' | sort -u)
[ -z "$unformatted" ] || complain "not formatted (clang-format -i):" "$unformatted"

if command -v cargo-fmt >/dev/null; then
    cargo fmt --all --manifest-path bindings/rust/Cargo.toml -- --check >/dev/null || complain "not formatted (cargo fmt): bindings/rust"
fi

wide=$(awk 'length > 100 {print FILENAME ":" FNR}' "${sources[@]}")
[ -z "$wide" ] || complain "wider than 100 columns:" "$wide"

twice=$(find lib -name '*.c' -printf '%f\n' | sort | uniq -d)
[ -z "$twice" ] || complain "two files of lib/ share a name:" "$twice"

# A folder of lib/ includes only itself and those before it.
order=(base format plan text kernels model convert cache engine sample api)
for i in "${!order[@]}"; do
    for later in "${order[@]:i+1}"; do
        hits=$(grep -rn "#include \"$later/" "lib/${order[i]}" || true)
        [ -z "$hits" ] || complain "lib/${order[i]} includes lib/$later, which comes after it:" "$hits"
    done
done
# The same law for calls: an object asks only for symbols of its own folder and of those before it.
symbols() { # NM-OPTION: "symbol folder source" of every object
    for source in lib/*/*.c lib/kernels/*/*.c; do
        object=$build/${source%.c}.o
        [ -f "$object" ] || continue # of another processor's kernel set
        folder=${source#lib/}
        nm "$1" --extern-only "$object" | awk -v folder="${folder%%/*}" -v source="$source" '{print $NF, folder, source}'
    done | sort
}
calls=$(join <(symbols --undefined-only) <(symbols --defined-only) | awk -v order="${order[*]}" '
    BEGIN { n = split(order, names, " "); for (i = 1; i <= n; i++) rank[names[i]] = i }
    rank[$4] > rank[$2] { print $3 " refers to " $1 " of " $5 }')
[ -z "$calls" ] || complain "calls of a folder that comes after the caller's:" "$calls"
inside=$(grep -rnE '#include "(base|format|plan|text|kernels|model|convert|cache|engine|sample|api)/' tools examples tests/api tests/cpp tests/golden || true)
[ -z "$inside" ] || complain "only lckv.h is for users:" "$inside"

banned='\b(abort|_?exit|assert|printf|fprintf|puts|perror|getenv|setenv|signal|setlocale|atoi|atof|strcpy|strcat|sprintf|gets|malloc|calloc|realloc)[[:space:]]*\('
hits=$(grep -rnE "$banned" lib --include='*.c' --include='*.h' | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(\*|/\*)|lib/kernels/kernels\.c:.*getenv\("LCKV_CPU"\)|format\(printf' || true)
[ -z "$hits" ] || complain "calls that the library must not make:" "$hits"

for file in "${sources[@]}"; do
    head -c 2 "$file" | grep -q '/\*' || complain "$file does not begin with a preface"
done

declared=$(tr '\n' ' ' <include/lckv.h | grep -oE 'LCKV_API [^;(]*\(' | grep -oE 'lckv_[a-z0-9_]+ *\($' | tr -d ' (' | sort)
listed=$(grep -o 'lckv_[a-z0-9_]*;' lib/lckv.map | tr -d ';' | sort)
[ "$declared" = "$listed" ] || complain "lib/lckv.map is not what lckv.h declares:" "$(diff <(echo "$declared") <(echo "$listed"))"

# Ownership that passes through a struct looks like a leak to cppcheck 2.10; log(0) cannot happen there.
found=$(cppcheck --quiet --enable=warning,portability --inline-suppr --std=c11 -Iinclude -Ilib \
    --suppress=missingIncludeSystem --suppress=unknownMacro --suppress='memleak:tools/*' \
    --suppress='autoVariables:tools/*' --suppress='invalidFunctionArg:tools/*' -j 2 lib tools 2>&1 | grep -E '(error|warning|portability):' || true)
[ -z "$found" ] || complain "cppcheck:" "$found"

[ ${#scripts[@]} -eq 0 ] || shellcheck "${scripts[@]}" || complain "shellcheck"
[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
