#!/bin/bash
# The kernel harness in as many parts at once as there are cores: in-parts.sh PROGRAM [OPTION]...
# The last line is "N passed, N failed[, N skipped]". Exit code: 0 nothing failed, 3 something did.
set -uo pipefail
. "$(dirname "$0")/../parts.sh"
program=$1 count=$(nproc)
shift
for ((part = 1; part <= count; part++)); do
  start_part "part $part of $count" "$program" "$@" --part $part/$count
done
sum_parts
