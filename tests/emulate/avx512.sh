#!/bin/bash
# The kernel harness over every AVX-512 kernel on an emulated CPU, in as many guests at a time as there are CPUs here.
set -euo pipefail

usage() {
  cat <<'END'
Usage: avx512.sh [--dir DIR] [--jobs N] [--model CPU] [--seed N] [--every N] PROGRAM
Boots PROGRAM (check_kernels, static, x86-64) with the emulated grid, the cases dealt out to N guests.

  --dir DIR       where the guest's kernel image and temporary files go (default build/emulate)
  --jobs N        guests at a time (default: the number of CPUs, at most 4)
  --model CPU     a CPU model of Bochs with AVX-512 (default tigerlake)
  --seed N        seed of the harness (default: from the clock; printed)
  --every N       only every Nth case (default 1: all)
  --help          this text

The last line is "N passed, N failed", with ", N skipped" if this machine cannot emulate.
Exit code: 0 nothing failed, 2 usage, 3 something failed.
END
}

here=$(cd "$(dirname "$0")" && pwd)
dir=build/emulate model=tigerlake seed=$(date +%s) jobs=$(nproc) every=1
[ "$jobs" -le 4 ] || jobs=4
while [ $# -gt 0 ]; do
  case $1 in
  --dir) dir=$2; shift 2 ;;
  --jobs) jobs=$2; shift 2 ;;
  --model) model=$2; shift 2 ;;
  --seed) seed=$2; shift 2 ;;
  --every) every=$2; shift 2 ;;
  --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) break ;;
  esac
done
[ $# = 1 ] || { usage >&2; exit 2; }

if ! reason=$("$here/run.sh" --prepare --dir "$dir" 2>&1); then
  echo "skipped: $reason"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
work=$(mktemp -d "$dir/avx512.XXXXXX")
trap 'kill $(jobs -p) 2> /dev/null || true; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# --loose-f16-ties: the VCVTPS2PH of Bochs 2.7 rounds every tie away from zero.
for ((part = 1; part <= jobs; part++)); do
  (
    status=0
    "$here/run.sh" --dir "$dir" --model "$model" --timeout 1700 -- \
      "$1" --isa avx512 --grid emulated --seed "$seed" --part $part/$((jobs * every)) \
      --loose-f16-ties > "$work/$part.output" 2> "$work/$part.errors" || status=$?
    echo $status > "$work/$part.status"
  ) &
done
wait

[ "$every" = 1 ] || echo "every case number $every of the grid"
passed=0 failed=0 skipped=0
for ((part = 1; part <= jobs; part++)); do
  [ "$jobs" = 1 ] || echo "part $part of $jobs"
  cat "$work/$part.output" "$work/$part.errors"
  status=$(cat "$work/$part.status" 2> /dev/null || echo 125)
  read -r p f s < <(awk '/^[0-9]+ passed, [0-9]+ failed/ { p = $1; f = $3; s = $5 }
    END { print p + 0, f + 0, s + 0 }' "$work/$part.output")
  if [ "$p" = 0 ] || { [ "$status" != 0 ] && [ "$f" = 0 ]; }; then # neither a crash nor a silent end is a success
    echo "FAIL part $part of $jobs ended with status $status"
    f=$((f + 1))
  fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] || exit 3
