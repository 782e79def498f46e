#!/usr/bin/env bash
# The shared library needs nothing beyond the C library and the three it names.
set -euo pipefail
build=$3
needed=$(readelf -d "$build/liblckv.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for library in $needed; do
    case $library in
    libc.so.* | libm.so.* | ld-linux-* | libopenblas.so.* | libpcre2-8.so.* | libutf8proc.so.*) ;;
    *)
        echo "unexpected: $library"
        exit 1
        ;;
    esac
done
[ "$(readelf -d "$build/liblckv.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" = liblckv.so.0 ]
