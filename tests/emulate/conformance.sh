#!/bin/bash
# The ONNX cases on emulated CPUs: attnbench itself, static, under qemu (Arm) and booted in Bochs (AVX-512, AVX2).
set -uo pipefail

usage() {
  cat <<'END'
Usage: conformance.sh [--dir DIR] X86_PROGRAM ARM_PROGRAM CASES
Runs `PROGRAM conformance CASES` on every ISA of each emulated CPU. The programs are static builds of attnbench (make dist).

  --dir DIR       where the guest's kernel image and temporary files go (default build/emulate)
  --help          this text

The last line is "N passed, N failed", with ", N skipped" for CPUs that could not be emulated here.
Exit code: 0 nothing failed, 2 usage, 3 something failed.
END
}

here=$(cd "$(dirname "$0")" && pwd)
dir=build/emulate
while [ $# -gt 0 ]; do
  case $1 in
  --dir) dir=$2; shift 2 ;;
  --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) break ;;
  esac
done
[ $# = 3 ] && [ -d "$3" ] || { usage >&2; exit 2; }
x86=$1 arm=$2 cases=$3
passed=0 failed=0 skipped=0

# count LABEL CODE: standard input is what the command printed.
count() {
  local label=$1 code=$2 p f s output
  output=$(cat)
  read -r p f s < <(sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' <<< "$output") || true
  echo "$label: $(tail -n 1 <<< "$output")"
  grep -v '^pass' <<< "$output" | sed '$d'
  passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0} + ${s:-0})) # every case must be computed
  if [ "${p:-0}" = 0 ] || { [ "$code" != 0 ] && [ "${f:-0}" = 0 ]; }; then
    echo "FAIL $label: ended with code $code"
    failed=$((failed + 1))
  fi
}

qemu=${QEMU_ARM:-$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)}
if [ -n "$qemu" ] && [ -x "$arm" ]; then
  for cpu in max neoverse-n1 cortex-a57; do
    for isa in scalar neon neonbf16; do
      output=$(ATTN_ISA=$isa timeout 300 "$qemu" -cpu $cpu "$arm" conformance "$cases" 2>&1)
      code=$?
      count "$cpu, ATTN_ISA=$isa" $code <<< "$output"
    done
  done
else
  echo "skipped: Arm: ${qemu:+no program $arm}${qemu:-qemu-aarch64 is not installed (tools/deps.sh arm)}"
  skipped=$((skipped + 1))
fi

if [ -x "$x86" ] && reason=$("$here/run.sh" --prepare --dir "$dir" 2>&1); then
  for isa in avx512 avx2 scalar; do
    output=$("$here/run.sh" --dir "$dir" --timeout 900 --files "$cases" -- ATTN_ISA=$isa "$x86" conformance /files 2>&1)
    code=$?
    count "tigerlake, ATTN_ISA=$isa" $code <<< "$output"
  done
else
  echo "skipped: x86-64: ${reason:-no program $x86}"
  skipped=$((skipped + 1))
fi
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] || exit 3
