#!/bin/sh
# short.sh COMPILER PROGRAMS DIR TARGET...: each fuzz target for 50000 executions, as a test suite.
set -u
compiler=$1 programs=$2 dir=$3
shift 3
command -v "$compiler" > /dev/null || { echo "skipped: no $compiler"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
passed=0 failed=0
for target in "$@"; do
  if "$(dirname "$0")/fuzz.sh" --runs 50000 --dir "$dir" "$programs/fuzz_$target"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
