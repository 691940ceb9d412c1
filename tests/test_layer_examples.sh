#!/bin/sh
# The layer's golden values are those that their script makes; examples/cross_modal.c compiles and runs, alike on every ISA and
# number of threads; examples/minilm.c agrees with an encoder computed by its definition, examples/shared_prefix.c with
# itself.
#
# usage: BUILD=build sh tests/test_layer_examples.sh
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
build=$(dirname "$attnbench")

if python3 -c 'import numpy' 2> /dev/null; then
  python3 -B "$top/tests/layer_golden.py" > golden || echo "no golden values" > golden
  # the last digits may differ from NumPy to NumPy
  check 'golden values are what their script makes' python3 -B -c '
import re, sys
new, old = (re.findall(r"-?\d+\.\d+(?:e-?\d+)?", open(p).read()) for p in sys.argv[1:])
assert len(new) == len(old) > 500, (len(new), len(old))
assert all(abs(float(a) - float(b)) < 1e-9 for a, b in zip(new, old))' golden "$top/tests/unit/layer_golden.h"
else
  skip 'python3 has no numpy, golden values were not made again'
fi

compile() { # compile NAME: examples/NAME.c
  check "examples/$1.c compiles" ${CC:-cc} -std=c11 -Wall -Wextra -Werror -I"$top/include" "$top/examples/$1.c" "$build/libattn.a" \
    -fopenmp $([ "${HWLOC:-1}" = 0 ] || echo -lhwloc) -lm -lpthread -o "$1"
}

compile cross_modal
check 'examples/cross_modal.c runs' sh -c './cross_modal > default'
cat default
grep '^output' default > line
check 'its output is of the size that random weights give' grep -qE 'mean -?0\.[0-9]+, deviation 0\.[0-9]+; log-sum-exp of row 0: 6\.[0-9]+' default
for threads in 1 2 3; do
  check "the same on $threads threads" sh -c 'ATTN_NUM_THREADS=$1 ./cross_modal | grep ^output | cmp - line' run $threads
done
check 'the same, to four places, without vectors' sh -c 'ATTN_ISA=scalar ./cross_modal > scalar && grep ^output scalar | cmp - line'
check 'which took the scalar kernels' grep -q 'linear_f32_scalar, fwd_f32_scalar' scalar

compile shared_prefix
check 'examples/shared_prefix.c agrees with itself' ./shared_prefix

# The model itself needs a network (make minilm); the synthetic encoder needs Python only.
compile minilm
if command -v python3 > /dev/null; then
  check 'a synthetic encoder' python3 -B "$top/examples/minilm.py" --synthetic -o encoder
  for isa in '' scalar; do
    check "examples/minilm.c agrees with it, ISA ${isa:-of this machine}" env ATTN_ISA=$isa ./minilm encoder
  done
  check 'a weight is changed' python3 -c 'import struct
b = bytearray(open("encoder", "rb").read())
at = 32 + 4 * (3 * 9 * 48 + 48 * 48 + 48 + 100)
b[at:at + 4] = struct.pack("<f", struct.unpack_from("<f", b, at)[0] + 0.5)
open("changed", "wb").write(b)'
  check 'and told' sh -c './minilm changed > said; [ $? = 1 ] && grep -q "NOT within" said'
  head -c 20000 encoder > cut
  check 'a cut file is refused' sh -c './minilm cut 2> said; [ $? = 2 ] && grep -q "^cut: is not of the length" said'
  check 'so is a foreign one' sh -c './minilm "$1" 2> said; [ $? = 2 ] && grep -q "not an encoder" said' run "$top/README.md"
  check 'no index: it says so, the synthetic one runs' sh -c '
    PIP_NO_INDEX=1 PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= python3 -B "$1" --build . -o encoder2 > said && grep -q "could not be had" said &&
    ./minilm encoder2' run "$top/examples/minilm.py"
else
  skip 'no python3: examples/minilm.c was compiled only'
fi
finish
