#!/usr/bin/env bash
# Builds the Debian packages liblckv0, liblckv-dev, lckv and python3-lckv from what make dist packs:
# build.sh BUILD. They come into the folder deb of BUILD.
#
# MAINTAINER is whom the packages name ("Name <address>"), REVISION the part of the version behind the "-". The date is
# that of the commit, so that everybody gets the same packages from the same tools. JOBS commands run at once. Needs the
# Debian packages debhelper, dh-python, and what packages-build.txt names.
set -euo pipefail
build=$1
maintainer=${MAINTAINER:-lckv contributors <lckv@packages.invalid>}
revision=${REVISION:-1}
version=$(sed -n 's/^#define LCKV_VERSION_STRING "\(.*\)"/\1/p' include/lckv.h)
command -v dh dh_python3 >/dev/null || { echo "make deb needs debhelper and dh-python" >&2; exit 1; }

out=$build/deb
rm -rf "$out"
mkdir -p "$out"
make -s --no-print-directory dist BUILD="$build" >/dev/null
cp "$build/lckv-$version.tar.gz" "$out/lckv_$version.orig.tar.gz"
tar -xzf "$out/lckv_$version.orig.tar.gz" -C "$out"
cd "$out/lckv-$version"
cp -r tools/debian debian
rm debian/build.sh
sed -i "s|@MAINTAINER@|$maintainer|" debian/control
license=$(sed '1,/^Copyright/d; /./,$!d; s/^$/./; s/^/ /' LICENSE)
awk -v license="$license" '$0 == "@LICENSE@" { print license; next } { print }' debian/copyright >debian/copyright.new
mv debian/copyright.new debian/copyright
cat >debian/changelog <<ENTRY
lckv ($version-$revision) unstable; urgency=medium

  * Version $version: see changelog.gz.

 -- $maintainer  $(date -uR -d "@$(stat -c %Y Makefile)")
ENTRY
# No bug of Debian asks for these packages: they are upstream's own.
sed -n 's/^Package: //p' debian/control | while read -r package; do
    echo "$package: initial-upload-closes-no-bugs" >"debian/$package.lintian-overrides"
done
dpkg-buildpackage -us -uc -b -j"${JOBS:-$(nproc)}"
cd ../../..
rm -rf "${out:?}/lckv-$version"
ls "$out"/*.deb
