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
. "$here/../parts.sh"
[ "$every" = 1 ] || echo "every case number $every of the grid"
# --loose-f16-ties: the VCVTPS2PH of Bochs 2.7 rounds every tie away from zero.
for ((part = 1; part <= jobs; part++)); do
  start_part "part $part of $jobs" "$here/run.sh" --dir "$dir" --model "$model" --timeout 1700 -- \
    "$1" --isa avx512 --grid emulated --seed "$seed" --part $part/$((jobs * every)) --loose-f16-ties
done
sum_parts
