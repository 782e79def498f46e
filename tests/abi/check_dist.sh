#!/usr/bin/env bash
# make dist packs what is committed. In the unpacked tarball, without git, it makes the same tarball, byte for byte, with
# another umask and another name for BUILD, which is left out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
version=$(sed -n 's/^#define LCKV_VERSION_STRING "\(.*\)"/\1/p' include/lckv.h)
name=lckv-$version
pack() { # BUILD: makes the tarball there; prints the names of the files in it.
    make -s dist BUILD="$1" >/dev/null
    tar -tzf "$1/$name.tar.gz" | grep -v '/$' | sort
}
exact=
if [ -e .git ]; then
    exact=$folder/first/$name.tar.gz
    first=$(pack "$folder/first")
    [ "$first" = "$(git ls-tree -r --name-only HEAD | sed "s|^|$name/|" | sort)" ] || { echo "not what is committed"; exit 1; }
    umask 077
    tar --no-same-permissions -xzf "$exact" -C "$folder"
else
    mkdir "$folder/$name"
    tar -cf - --exclude="./$3" . | tar -xf - -C "$folder/$name"
    first=$(pack "$folder/first" | grep -v "^$name/$3/")
fi
cd "$folder/$name"
mkdir -p build/lib
touch build/lib/object.o
for build in build ./build "$folder/second"; do
    again=$(pack "$build")
    [ "$build" != "$folder/second" ] || again=$(grep -v "^$name/build/" <<<"$again")
    [ "$first" = "$again" ] || { echo "with BUILD=$build another one:"; diff <(echo "$first") <(echo "$again"); exit 1; }
    [ -z "$exact" ] || [ "$build" = "$folder/second" ] || cmp "$exact" "$build/$name.tar.gz"
done
echo "$(wc -l <<<"$first") files"
