#!/bin/sh
# The layer's golden values are those that their script makes; examples/cross_modal.c compiles and runs, alike on every ISA and
# number of threads. Ends with "N passed, N failed[, N skipped]".
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT || exit 1
passed=0 failed=0 skipped=0
check() { # $1: what; the rest: a command
  what=$1
  shift
  if "$@" > "$dir/out" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL $what"
    sed 's/^/  /' "$dir/out"
  fi
}

if python3 -c 'import numpy' 2> /dev/null; then
  python3 -B tests/layer_golden.py > "$dir/golden" || echo "no golden values" > "$dir/golden"
  # the last digits may differ from NumPy to NumPy
  check 'golden values are what their script makes' python3 -B - "$dir/golden" tests/unit/layer_golden.h << 'PY'
import re, sys
new, old = (re.findall(r"-?\d+\.\d+(?:e-?\d+)?", open(p).read()) for p in sys.argv[1:])
assert len(new) == len(old) > 500, (len(new), len(old))
assert all(abs(float(a) - float(b)) < 1e-9 for a, b in zip(new, old))
PY
else
  echo 'skipped: python3 has no numpy, golden values were not made again'
  skipped=$((skipped + 1))
fi

libs=$([ "${HWLOC:-1}" = 0 ] || echo -lhwloc)
check 'examples/cross_modal.c compiles' ${CC:-cc} -std=c11 -Wall -Wextra -Werror -Iinclude examples/cross_modal.c \
  "$BUILD/libattn.a" -fopenmp $libs -lm -lpthread -o "$dir/cross_modal"
check 'examples/cross_modal.c runs' sh -c '"$1" > "$2"' run "$dir/cross_modal" "$dir/default"
cat "$dir/default"
check 'its output is of the size that random weights give' grep -qE 'mean -?0\.[0-9]+, deviation 0\.[0-9]+; log-sum-exp of row 0: 6\.[0-9]+' "$dir/default"
result() { sed -n 's/^output/output/p' "$1"; }
for threads in 1 2 3; do
  check "the same on $threads threads" sh -c 'ATTN_NUM_THREADS=$1 "$2" | grep ^output | cmp - "$3"' run $threads "$dir/cross_modal" "$(result "$dir/default" > "$dir/line" && echo "$dir/line")"
done
check 'the same, to four places, without vectors' sh -c 'ATTN_ISA=scalar "$1" > "$3" && grep ^output "$3" | cmp - "$2"' run "$dir/cross_modal" "$dir/line" "$dir/scalar"
check 'which took the scalar kernels' grep -q 'linear_f32_scalar, fwd_f32_scalar' "$dir/scalar"

echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ]
