#!/bin/sh
# Random cases of the ONNX Attention operator, answered by tests/onnx_cases.py from the specification, on each ISA of this
# CPU. Ends with "N passed, N failed, N skipped"; exit 1 if any failed. SEED and COUNT look further.
set -u
cd "$(dirname "$0")/.." || exit 1
attnbench=${BUILD:-build}/attnbench
if ! python3 -c 'import numpy' 2> /dev/null; then
  echo 'skipped: no numpy for python3 (Debian package python3-numpy)'
  echo '0 passed, 0 failed, 1 skipped'
  exit 0
fi
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT || exit 1
python3 tests/onnx_cases.py "$dir/cases" "${COUNT:-200}" "${SEED:-1}" || exit 1
passed=0 failed=0
for isa in scalar avx2 avx512 neon; do
  ATTN_ISA=$isa "$attnbench" conformance "$dir/cases" > "$dir/out" 2> "$dir/err"
  code=$?
  [ $code = 2 ] && [ ! -s "$dir/out" ] && continue # an ISA of another architecture
  grep -v '^pass' "$dir/out" | sed '$d; s/^/'$isa': /'
  counts=$(tail -n 1 "$dir/out")
  n=${counts%% *} rest=${counts#* passed, }
  skips=${rest##* failed, } skips=${skips%% *}
  passed=$((passed + n)) failed=$((failed + ${rest%% *} + skips)) # every case must be computed
done

# The harness finds what is wrong: a case with another answer.
first=$dir/cases/case0000
python3 - "$first/out_Y.npy" << 'END'
import sys
import numpy as np
y = np.load(sys.argv[1])
if y.dtype.kind == "V":
    y = y.view(np.uint16)
y.flat[-1] += 1
np.save(sys.argv[1], y.view("V2") if y.dtype == np.uint16 else y)
END
if "$attnbench" conformance "$first" > "$dir/out"; then
  echo 'FAIL a wrong answer passed'
  failed=$((failed + 1))
else
  passed=$((passed + 1))
fi
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
