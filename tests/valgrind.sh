#!/bin/bash
# valgrind.sh ATTNBENCH: every command under valgrind: no read of what nobody has written, no bad access, nothing lost.
#
# Valgrind has no AVX-512, so kernels are those of AVX2 at most. The last line is "N passed, N failed".
set -u
[ $# = 1 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
attnbench=$(realpath "$1") here=$(cd "$(dirname "$0")" && pwd)
command -v valgrind > /dev/null || { echo "skipped: no valgrind"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
work=$(mktemp -d) || exit 4
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
. "$here/inputs.sh"
cd "$work" || exit 4
make_inputs
export ATTN_NUM_THREADS=2 ATTNBENCH_DB=$work/runs.db
unset ATTN_ISA ATTN_KERNEL ATTN_DEBUG ATTN_TUNING ATTN_QUIRKS GITHUB_ACTIONS GITHUB_STEP_SUMMARY
passed=0 failed=0

# try STATUS ARGUMENT...
try() {
  local wanted=$1 status
  shift
  valgrind --quiet --error-exitcode=77 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --child-silent-after-fork=yes --log-file=log --suppressions="$here/valgrind.supp" "$attnbench" "$@" > out 2> err < /dev/null
  status=$?
  if [ $status = "$wanted" ] && [ ! -s log ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL attnbench $*: status $status instead of $wanted"
    cat err log | head -n 60
  fi
}

one=attn/fwd_f32_scalar/f32/B:1/Hq:1/Hkv:1/Sq:4/Skv:4/Dqk:8/Dv:8/none/T:1
try 0 --help
try 2 no-such-command
try 0 attend --q q.npy --k k.npy --v v.npy --out o.npy --lse l.npy
try 2 attend --q q.npy --k a.json --v v.npy --out o.npy
try 1 compare a.json b.json
try 2 compare a.json q.npy
try 0 history add a.json
try 0 history list
try 0 history list --json
try 0 history show 1
try 0 history trend
try 0 history export -o exported.json
try 0 history import exported.json
try 2 history add q.npy
try 0 export --format csv a.json
try 0 report -o page.html a.json b.json
try 0 conformance case
try 0 explain 'the cat sat on the mat'
try 0 info
try 0 info --json
try 0 run --quiet --case "$one" --repetitions 2 --min-time 0.001 --json r.json
try 0 verify --quiet --kernel fwd_f32_scalar --case 1
try 0 tune --help
try 0 gate --help
echo "$passed passed, $failed failed"
[ $failed = 0 ] || exit 3
