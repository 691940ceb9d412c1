#!/bin/sh
# How often `attnbench gate` is right: the same build against itself, and copies of the tree in which every unit of work of
# one kernel is followed by 10 % and 5 % of its time in an idle loop. Prints a line for every call and ends with counts to hold
# against the goals.
#
# usage: tests/gate_power.sh [BUILD] [A/A CALLS] [SLOWED CALLS] [options of `attnbench gate` ...]
set -u
build=${1:-build} same_calls=${2:-40} slow_calls=${3:-20}
[ $# -lt 3 ] && shift $# || shift 3
kernel=fwd_f32_avx2
source=kernels/x86/$kernel.c
case=attn/$kernel/f32/B:1/Hq:2/Hkv:2/Sq:256/Skv:256/Dqk:64/Dv:64/none/T:1
make -s BUILD="$build" "$build/attnbench" || exit 4
[ $# -gt 0 ] || set -- --case "$case"

# slowed PERCENT: a copy of tree and objects in which the kernel takes longer.
slowed() {
  tree=$build/power/slow$1
  rm -rf "$tree" && mkdir -p "$tree/build" || exit 4
  git ls-files | tar -cf - -T - | tar -xf - -C "$tree"
  cp -a "$build/obj" "$build/gen" "$build/flags" "$tree/build/" || exit 4
  awk -v percent="$1" '
    /^const struct attn_kernel/ {
      print "#include <time.h>\n"
      print "static double cpu_s(void)\n{\n  struct timespec t;\n  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);"
      print "  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;\n}\n"
      print "static void slowed_run(const struct attn_unit *unit)\n{"
      print "  static _Thread_local double least;"
      print "  const double began = cpu_s();\n  stream_run(unit);\n  const double took = cpu_s() - began;"
      print "  if (least == 0 || took < least) least = took;"
      print "  for (const double until = cpu_s() + least * " percent " / 100; cpu_s() < until;) {\n  }\n}\n"
    }
    { changed += sub(/\.run = stream_run/, ".run = slowed_run"); print }
    END { exit changed != 1 }' "$source" >"$tree/$source" || { echo "$source does not look as expected"; exit 4; }
  make -s -C "$tree" BUILD=build build/attnbench >"$tree.log" 2>&1 || { cat "$tree.log"; exit 4; }
}

# judge LABEL BASELINE CANDIDATE CALLS ARGUMENTS...: sets caught, passed, open, other.
judge() {
  label=$1 baseline=$2 candidate=$3 calls=$4 caught=0 passed=0 open=0 other=0 call=0
  shift 4
  while [ $call -lt "$calls" ]; do
    call=$((call + 1))
    said=$("$build/attnbench" gate --quiet --baseline "$baseline" --candidate "$candidate" --seed $call "$@" 2>&1)
    status=$?
    case $status in
    0) passed=$((passed + 1)) ;;
    1) caught=$((caught + 1)) ;;
    5) open=$((open + 1)) ;;
    130) exit 130 ;;
    *) other=$((other + 1)); echo "$said" ;;
    esac
    echo "$label $call: exit $status $(echo "$said" | grep -E "^$kernel|^fwd_" | head -n 3 | sed 's/.* T[0-9]* *//')"
  done
  total="$total
$label: $calls calls, $caught slower, $open inconclusive, $passed passed, $other failed"
}

total=
uptime
judge 'A/A' "$build" "$build" "$same_calls" "$@"
slowed 10
judge '10 % slower' "$build" "$build/power/slow10/build" "$slow_calls" "$@"
slowed 5
judge '5 % slower' "$build" "$build/power/slow5/build" "$slow_calls" "$@"
uptime
echo "$total"
