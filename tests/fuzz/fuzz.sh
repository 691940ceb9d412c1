#!/bin/sh
# fuzz.sh [--seconds N | --runs N] [--dir DIR] PROGRAM: one fuzz target, from its seeds and what earlier runs added.
#
# Seeds are tests/fuzz/corpus/<target>/, the dictionary tests/fuzz/<target>.dict; what the run discovers stays in
# DIR/<target>/, what it breaks in DIR/finds/<target>-*. The last line is "<target>: N executions, N finds". Exit status: 0,
# 3 with a find.
set -u
here=$(dirname "$0") limit=-max_total_time=60 dir=build/fuzz-found
while [ $# -gt 1 ]; do
  case $1 in
  --seconds) limit=-max_total_time=$2 ;;
  --runs) limit=-runs=$2 ;;
  --dir) dir=$2 ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
program=$1 target=$(basename "$1") target=${target#fuzz_}
mkdir -p "$dir/$target" "$dir/finds" || exit 4
set -- "$dir/$target" "$here/corpus/$target"
[ -d "$2" ] || set -- "$1"
[ -f "$here/$target.dict" ] && set -- "-dict=$here/$target.dict" "$@"
log=$dir/$target.log
ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 OMP_NUM_THREADS=1 \
  "$program" "$limit" -artifact_prefix="$dir/finds/$target-" -rss_limit_mb=2048 -malloc_limit_mb=4096 -timeout=20 \
  -max_len=4096 -print_final_stats=1 -verbosity=1 "$@" > "$log" 2>&1
status=$?
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
if [ $status -ne 0 ]; then
  tail -n 40 "$log"
  echo "$target: ${runs:-0} executions, 1 finds"
  exit 3
fi
echo "$target: ${runs:-0} executions, 0 finds"
