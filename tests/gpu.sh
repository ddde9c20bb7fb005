#!/usr/bin/env bash
# Prove on a GPU what is said of one: run the CUDA tests, then the benchmark `gpu`. Needs no network.
#
#   tests/gpu.sh [WHEELS]
#
# PYTHON (else python3) is one with torch (2.11 or later), torchvision, numpy, filelock and pytest. WHEELS is a folder
# with the wheels of what that Python lacks, pydantic and pytorch-optimizer most likely. For Python 3.12, this makes it:
#
#   grep -E '^(pydantic|pydantic.core|annotated.types|typing.inspection|pytorch.optimizer)==' requirements.lock > wheels.txt
#   pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_17_x86_64 \
#     --requirement wheels.txt --dest WHEELS
#
# The results are `tests.xml` and `gpu.json` in the folder OUT (else a new one). REHEARSE=1 tries all of it on the CPU,
# with few tests and images.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export OUT=${OUT:-$(mktemp -d)} PYTHONPATH=$PWD PYTHONUNBUFFERED=1
if [ $# -gt 0 ]; then
  site=$(mktemp -d)
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$1"/*.whl || exit 2
  PYTHONPATH=$site:$PWD
fi

few=()
if [ -n "${REHEARSE:-}" ]; then few=(-k "adadelta or own or loss"); fi
"$python" -m pytest --noconftest --override-ini addopts= --import-mode=importlib --strict-markers -p no:cacheprovider \
  --quiet --durations=5 --junitxml="$OUT/tests.xml" "${few[@]}" tests/harness/test_cuda.py
tests=$?
"$python" -m tests.benchmarks gpu
benchmark=$?
echo "tests: exit code $tests, benchmark: exit code $benchmark, results in $OUT"
exit $((tests || benchmark))
