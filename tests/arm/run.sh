#!/bin/bash
# The kernel harness on emulated Arm CPUs; see usage below and docs/testing.md.
set -uo pipefail

usage() {
  cat <<'END'
Usage: run.sh PROGRAM [CPU]...
Runs PROGRAM (check_kernels, static, AArch64) under qemu's user-mode emulation with the emulated grid and every 1009th
float of exp2, on each CPU, all at once (default: max neoverse-n1 cortex-a57): the whole grid on the first, which should
have all features, and halves of it on the others, in turns.

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

. "$(dirname "$0")/../parts.sh"
part=(--part 1/1)
for cpu; do
  start_part "$cpu" timeout 600 "$qemu" -cpu "$cpu" "$program" --grid emulated --exp2-stride 1009 ${SEED:+--seed "$SEED"} \
    "${part[@]}"
  [ "${part[1]}" = 1/2 ] && part=(--part 2/2) || part=(--part 1/2)
done
sum_parts
