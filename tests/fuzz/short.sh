#!/bin/sh
# short.sh COMPILER PROGRAMS DIR TARGET...: each fuzz target for 50000 executions, as a test suite; 2000 where each
# opens a database.
set -u
compiler=$1 programs=$2 dir=$3
shift 3
command -v "$compiler" > /dev/null || { echo "skipped: no $compiler"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
passed=0 failed=0
for target in "$@"; do
  case $target in history) runs=2000 ;; *) runs=50000 ;; esac
  if "$(dirname "$0")/fuzz.sh" --runs $runs --dir "$dir" "$programs/fuzz_$target"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
