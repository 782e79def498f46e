#!/usr/bin/env bash
# The static library holds machine code and exports only lckv_*, with link-time optimisation too. A part of the
# sources is enough to show it, and quick to build.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/program.c" <<'END'
#include <lckv.h>
int main(void)
{
    lckv_plan *plan;
    char text[16];
    size_t length;
    return lckv_plan_parse("0_2_2", 5, 3, &plan) || lckv_plan_text(plan, text, sizeof text, &length) || length != 5;
}
END
for compiler in gcc clang; do
    command -v $compiler >/dev/null || continue
    build=$folder/$compiler
    objects=$(printf "$build/%s " lib/{base,plan,api}/*.c)
    make -s BUILD="$build" CC=$compiler CFLAGS='-O1 -flto' OBJECTS="${objects//.c /.o }" "$build/liblckv.a"
    others=$(nm --defined-only --extern-only "$build/liblckv.a" | awk 'NF == 3 && $3 !~ /^lckv_/ {print $3}')
    [ -z "$others" ] || { echo "$compiler -flto exports: $others"; exit 1; }
    nm --defined-only --extern-only "$build/liblckv.a" | grep -q ' T lckv_plan_parse$'
    # The other compiler's linker reads it, so it is an ordinary object.
    for linker in gcc clang; do
        command -v $linker >/dev/null || continue
        $linker -Iinclude "$folder/program.c" "$build/liblckv.a" -no-pie -Wl,--unresolved-symbols=ignore-all -lm -lpthread \
            -o "$folder/program"
        "$folder/program"
    done
done
