#!/usr/bin/env bash
# The Python package, with the shared library of this build: check_python.sh LCKV MODEL BUILD.
set -euo pipefail
model=$(realpath "$2")
library=$(realpath "$3/liblckv.so")
if ! command -v python3 >/dev/null; then
    echo "skipped: no python3"
    exit 0
fi
for module in numpy jinja2; do
    python3 -c "import $module" 2>/dev/null || echo "skipped: no $module (Debian: python3-$module), so tests that need it"
done
python3 -c "import llguidance" 2>/dev/null || echo "skipped: no llguidance (PyPI), so tests of constraints"
for module in starlette uvicorn prometheus_client openai anthropic; do
    python3 -c "import $module" 2>/dev/null || echo "skipped: no $module (PyPI), so tests of the server that need it"
done
if ! python3 -c "import ray.data" 2>/dev/null; then
    echo "skipped: no ray (PyPI), so tests of lckv.ray"
elif [ -z "${LCKV_TEST_RAY:-}" ]; then
    echo "skipped: LCKV_TEST_RAY is not set, so a cluster of two workers"
fi
cd "$(dirname "$0")/../../bindings/python"
LCKV_LIBRARY=$library LCKV_TEST_MODEL=$model PYTHONPATH=$PWD PYTHONDONTWRITEBYTECODE=1 \
    python3 -W error::ResourceWarning -m unittest discover -s tests 2>&1 | sed 's/^\(FAIL\|ERROR\):/FAIL \1:/'
