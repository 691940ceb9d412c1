#!/bin/sh
# attnbench tune and ATTN_TUNING, as a user meets them. Which blocks win is not judged here.
#
# usage: BUILD=build sh tests/test_tune.sh
set -u
attnbench=$(cd "${BUILD:-build}" && pwd)/attnbench
[ -x "$attnbench" ] || { echo "no $attnbench: make it first"; echo "0 passed, 1 failed"; exit 1; }
unset ATTN_ISA ATTN_KERNEL ATTN_NUM_THREADS ATTN_DEBUG ATTN_TUNING ATTN_QUIRKS
work=$(mktemp -d) || exit 4
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 4
passed=0 failed=0
# expect NAME STATUS PATTERN COMMAND...: the exit code and an extended regular expression in output or errors.
expect() {
  name=$1 status=$2 pattern=$3
  shift 3
  said=$("$@" 2>&1 </dev/null)
  got=$?
  if [ "$got" -eq "$status" ] && printf '%s\n' "$said" | grep -Eq -- "$pattern"; then passed=$((passed + 1)); echo "ok - $name"
  else failed=$((failed + 1)); echo "not ok - $name: exit code $got, no '$pattern' in: $said"
  fi
}

expect 'a kernel without blocks' 2 'nothing to tune' "$attnbench" tune --kernel fwd_f32_scalar --preset quick
expect 'a bad budget' 2 "budget: '-1'" "$attnbench" tune --budget -1
expect 'several thread counts' 2 'more than one number' "$attnbench" tune --threads 1,2
expect 'an unknown preset' 2 "no preset 'x'" "$attnbench" tune --preset x
printf 'attn-tuning 1\nfwd_f32_scalar Dqk=1 Dv=1\n' >wrong
expect 'plans refuse a wrong file' 2 'ATTN_TUNING=wrong, line 2: kernel fwd_f32_scalar' \
  env ATTN_TUNING=wrong "$attnbench" run --preset quick --filter Sq:512 --kernel fwd_f32_scalar --repetitions 1 --min-time 0.001
expect 'and a missing one' 2 'ATTN_TUNING=none: No such file' \
  env ATTN_TUNING=none "$attnbench" run --preset quick --filter Sq:512 --kernel fwd_f32_scalar --repetitions 1 --min-time 0.001

kernel=$("$attnbench" run --preset roof --threads 1 --list 2>/dev/null | sed -n 's,^attn/\(fwd_f32_[a-z0-9]*\)/.*,\1,p' | head -n 1)
if [ -n "$kernel" ]; then
  case="attn/$kernel/f32/B:1/Hq:1/Hkv:1/Sq:200/Skv:300/Dqk:48/Dv:40/none/T:1"
  expect 'a search' 0 "^$kernel +Dqk 48 +Dv 40 +[1-9][0-9]* tried" "$attnbench" tune --case "$case" --budget 1
  expect 'a layer' 2 'leave out Wq, Wkv and Wo' "$attnbench" tune --case "${case%T:1}Wq:8/Wkv:9/Wo:7/T:1"
  expect 'its file is read' 0 'fwd_' env ATTN_TUNING=attn-tuning.txt "$attnbench" run --case "$case" --repetitions 1 --min-time 0.001
  printf 'attn-tuning 1\n%s Dqk=7 Dv=9 unit_rows=960\n%s Dqk=48 Dv=40 unit_rows=%s\n' "$kernel" "$kernel" 1920 >old
  expect 'an older file is continued' 0 'Written: old' "$attnbench" tune --case "$case" --budget 0.5 --output old
  expect 'other lines stay' 0 "^$kernel Dqk=7 Dv=9 unit_rows=960\$" cat old
  expect 'the line of this shape was replaced' 1 '^[01]$' sh -c "grep -c '^$kernel Dqk=48 Dv=40 unit_rows=1920\$' old"
  expect 'a file that is something else' 2 'no tuning file.*name another' "$attnbench" tune --case "$case" --budget 1 --output wrong
  expect 'is left as it was' 0 'Dv=1' cat wrong
  expect 'a folder that is not there' 2 'nowhere/file' "$attnbench" tune --case "$case" --budget 1 --output nowhere/file
  "$attnbench" tune --case "attn/$kernel/f32/B:1/Hq:2/Hkv:2/Sq:1024/Skv:1024/Dqk:64/Dv:64/none/T:1" --budget 60 --output cut \
    >said 2>&1 &
  search=$!
  # Signal 2 is caught once the search is on its way.
  until grep -q '^SigCgt:.*[2367abef]$' /proc/$search/status 2>/dev/null || ! kill -0 $search 2>/dev/null; do sleep 0.1; done
  kill -INT $search
  wait $search
  expect 'Ctrl-C says so' 0 "exit code 130" echo "exit code $?"
  expect 'and is told' 0 'interrupted after' cat said
  expect 'and keeps a file that plans accept' 0 'fwd_' env ATTN_TUNING=cut "$attnbench" run --case "$case" --repetitions 1 \
    --min-time 0.001
else
  echo "# no hand-written kernel runs here"
fi
expect 'no temporary is left behind' 0 '^none$' sh -c 'ls -A | grep "^\.attnbench" || echo none'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
