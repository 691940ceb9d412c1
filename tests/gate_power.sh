#!/bin/sh
# How often `attnbench gate` is right: the same build against itself, and copies of the tree in which one kernel does 10 % and
# 5 % of its work twice. Prints a line for every call and ends with counts to hold against the goals.
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

# slowed PERCENT: a copy of tree and objects in which every so many calls of the kernel are made twice.
slowed() {
  tree=$build/power/slow$1
  rm -rf "$tree" && mkdir -p "$tree/build" || exit 4
  git ls-files | tar -cf - -T - | tar -xf - -C "$tree"
  cp -a "$build/obj" "$build/gen" "$tree/build/" || exit 4
  awk -v percent="$1" '
    /^const struct attn_kernel/ {
      print "static void slowed_run(const struct attn_unit *unit)\n{"
      print "  static _Thread_local int due;"
      print "  stream_run(unit);"
      print "  due += " percent ";"
      print "  if (due < 100) return;\n  due -= 100;\n  stream_run(unit);\n}\n"
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
