#!/usr/bin/env bash
# make docs builds the site of the documentation without a warning or a broken link, has a page for every file of docs/
# and every function of lckv.h, and notices a link that leads nowhere.
set -euo pipefail
if ! command -v doxygen >/dev/null || ! command -v python3 >/dev/null; then
    echo "skipped: no doxygen"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PYTHONDONTWRITEBYTECODE=1
make -s --no-print-directory docs BUILD="$folder"
site=$folder/docs/html
for page in docs/*.md; do
    [ -s "$site/docs_$(basename "$page" .md | tr - _).html" ] || { echo "FAIL  no page for $page"; exit 1; }
done
cat "$site"/group__h__*.html >"$folder/reference"
for function in $(grep -o 'lckv_[a-z0-9_]*;' lib/lckv.map | tr -d ';'); do
    grep -q "</a></span>$function()" "$folder/reference" || { echo "FAIL  no reference of $function"; exit 1; }
done
cp -r "$site" "$folder/broken"
echo '<a href="nowhere.html">a</a> <a href="index.html#nowhere">b</a>' >>"$folder/broken/docs_guide.html"
found=$(PYTHONPATH=tools/docs python3 -c 'import links, pathlib, sys; print(*links.broken(pathlib.Path(sys.argv[1])), sep="\n")' "$folder/broken")
[ "$(wc -l <<<"$found")" -eq 2 ] || { echo "FAIL  links are not followed: $found"; exit 1; }
