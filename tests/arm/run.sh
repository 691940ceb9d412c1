#!/bin/bash
# The kernel harness on emulated Arm CPUs; see usage below and docs/testing.md.
set -uo pipefail

usage() {
  cat <<'END'
Usage: run.sh PROGRAM [CPU]...
Runs PROGRAM (check_kernels, static, AArch64) under qemu's user-mode emulation with the emulated grid and every 1009th
float of exp2, on each CPU, all at once (default: max neoverse-n1 cortex-a57).

  --help          this text

Variables: QEMU_ARM (the emulator), CROSS_ARM (prefix of the cross compiler), SEED (default: from the clock, and printed).
The last line is "N passed, N failed", with ", N skipped" for CPUs that could not be emulated here.
Exit code: 0 nothing failed, 2 usage, 3 something failed.
END
}

case ${1-} in
--help) usage; exit 0 ;;
-* | '') usage >&2; exit 2 ;;
esac
program=$1
shift
[ $# -gt 0 ] || set -- max neoverse-n1 cortex-a57
qemu=${QEMU_ARM:-$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)}
compiler=${CROSS_ARM:-aarch64-linux-gnu-}gcc
reason=
command -v "$compiler" > /dev/null || reason="$compiler is not installed (tools/deps.sh arm)"
command -v "${qemu:-qemu-aarch64}" > /dev/null || reason="${qemu:-qemu-aarch64} is not installed (tools/deps.sh arm)"
if [ -n "$reason" ]; then
  for cpu; do echo "$cpu: skipped: $reason"; done
  echo "0 passed, 0 failed, $# skipped"
  exit 0
fi

work=$(mktemp -d) || exit 3
trap 'kill $(jobs -p) 2> /dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
for cpu; do
  {
    timeout 600 "$qemu" -cpu "$cpu" "$program" --grid emulated --exp2-stride 1009 ${SEED:+--seed "$SEED"}
    echo $? > "$work/$cpu.code"
  } > "$work/$cpu" 2>&1 < /dev/null &
done
wait
passed=0 failed=0 skipped=0
for cpu; do
  echo "== $cpu"
  cat "$work/$cpu"
  code=$(cat "$work/$cpu.code")
  read -r p f s < <(sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$work/$cpu") || true
  passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
  # Neither a crash nor a silent end may look like success.
  if [ "${p:-0}" = 0 ] || { [ "$code" != 0 ] && [ "${f:-0}" = 0 ]; }; then
    echo "FAIL $cpu: ended with code $code$([ "$code" != 124 ] || echo ": stopped after 600 s")"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ] || exit 3
