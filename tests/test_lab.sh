#!/bin/sh
# compare, ab, gate, doctor as a user meets them: verdicts, exit codes, messages, files.
#
# usage: BUILD=build sh tests/test_lab.sh
set -u
. tests/shell.sh

# expect NAME STATUS PATTERN COMMAND...: the exit code and an extended regular expression in output or errors.
expect() {
  name=$1 status=$2 pattern=$3
  shift 3
  said=$("$@" 2>&1 </dev/null)
  got=$?
  if [ "$got" -ne "$status" ]; then not_ok "$name" "exit code $got instead of $status: $said"
  elif ! printf '%s\n' "$said" | grep -Eq -- "$pattern"; then not_ok "$name" "no '$pattern' in: $said"
  else ok "$name"
  fi
}

# results FILE HOST METHOD [NAME TIMES...]...: a file of results; TIMES are separated by commas.
results() {
  file=$1 host=$2 method=$3
  shift 3
  {
    printf '{"context": {"host_name": "%s", "num_cpus": 2, "cpu_model": "a cpu", "method_version": "%s"}, "benchmarks": [' \
      "$host" "$method"
    separator=
    while [ $# -gt 1 ]; do
      for t in $(echo "$2" | tr , ' '); do
        printf '%s\n{"name": "%s", "run_name": "%s", "run_type": "iteration", "real_time": %s, "time_unit": "ns"}' "$separator" \
          "$1" "$1" "$t"
        separator=,
      done
      shift 2
    done
    printf ']}\n'
  } >"$file"
}
one=attn/fwd_f32_avx2/f32/B:1/Hq:8/Hkv:8/Sq:2048/Skv:2048/Dqk:128/Dv:128/none/T:1/real_time
two=attn/fwd_f32_scalar/f32/B:1/Hq:8/Hkv:8/Sq:2048/Skv:2048/Dqk:128/Dv:128/none/T:1/real_time

# --- compare: verdicts. Eight against eight without overlap: p = 2 / C(16, 8) = 0.000155.
results a.json host 1 $one 100,101,102,103,104,105,106,107 $two 200.1,200.2,200.3,200.4,200.5,200.6,200.7,200.8
results slow.json host 1 $one 120,121,122,123,124,125,126,127 $two 200.1,200.2,200.3,200.4,200.5,200.6,200.7,200.8
results few.json host 1 $one 120,121,122
expect 'compare: slower' 1 'fwd_f32_avx2 .* slower by 19\.. % .* 0\.00031 +8\+8' "$attnbench" compare a.json slow.json
expect 'compare: faster' 0 'fwd_f32_avx2 .* faster by 16\.. %' "$attnbench" compare slow.json a.json
expect 'compare: same' 0 'fwd_f32_scalar .* same within 2 %' "$attnbench" compare a.json slow.json --filter scalar
results three.json host 1 $one 100,101,102
expect 'compare: three repetitions decide nothing' 5 'inconclusive .* unknown +0\.1 +3\+3' "$attnbench" compare three.json few.json
expect 'compare: a missing case is shown' 1 'missing' "$attnbench" compare few.json slow.json a.json --margin 1 --alpha 0.9
expect 'compare: and left out of the mean' 5 'mean of 1; 1 missing' "$attnbench" compare few.json slow.json
expect 'compare: groups' 1 'kernel: fwd_f32_scalar' "$attnbench" compare a.json slow.json --group-by kernel
expect 'compare: groups have means' 1 'geometric mean of 1 .*1\.19' "$attnbench" compare a.json slow.json --group-by isa
expect 'compare: a field that no name has' 1 'nothing: \(none\)' "$attnbench" compare a.json slow.json --group-by nothing
expect 'compare: three files' 1 'C/A' "$attnbench" compare a.json a.json slow.json
# --- compare: refusals
results other.json elsewhere 1 $one 120,121,122,123,124,125,126,127
expect 'compare: another machine is no regression' 5 'Different machines' "$attnbench" compare a.json other.json
expect 'compare: in words' 5 'takes 19\.. % longer' "$attnbench" compare a.json other.json
expect 'compare: --same-machine' 1 'slower by 19' "$attnbench" compare a.json other.json --same-machine
results method.json host 2 $one 120,121,122,123,124,125,126,127
expect 'compare: another method' 2 'method_version is 1 in a.json and 2 in method.json' "$attnbench" compare a.json method.json
expect 'compare: --mix-methods' 1 'Mixed methods' "$attnbench" compare a.json method.json --mix-methods
results apart.json host 1 something/else 1,2,3
expect 'compare: nothing in common' 2 'no case is in' "$attnbench" compare a.json apart.json
expect 'compare: one file' 2 'two files' "$attnbench" compare a.json
expect 'compare: no such file' 2 'absent.json: cannot be opened' "$attnbench" compare a.json absent.json
head -c 300 a.json >truncated.json
expect 'compare: truncated' 2 'truncated.json: line .* not valid JSON' "$attnbench" compare a.json truncated.json
expect 'compare: a folder' 2 'cannot be read' "$attnbench" compare a.json .
expect 'compare: bad regular expression' 2 "filter '\('" "$attnbench" compare a.json slow.json --filter '('
expect 'compare: bad margin' 2 "margin: 'x'" "$attnbench" compare a.json slow.json --margin x
# --- compare: files
expect 'compare: writes files' 1 '' "$attnbench" compare a.json slow.json --json c.json --csv c.csv --markdown c.md
if grep -q '"verdict": "slower"' c.json && grep -q "^$one,103.5 ns" c.csv && grep -q 'slower by 19' c.md; then ok 'their content'
else not_ok 'their content' "$(cat c.json c.csv c.md)"; fi
expect 'compare: unwritable' 2 'no/c.json' "$attnbench" compare a.json slow.json --json no/c.json
if [ -e /dev/full ]; then expect 'compare: full disk' 2 'No space left' "$attnbench" compare a.json slow.json --json /dev/full; fi
expect 'compare: standard input' 1 'slower by 19' sh -c "'$attnbench' compare a.json - <slow.json"

# --- ab: short rounds of a small case
shape=f32/B:1/Hq:1/Hkv:1/Sq:64/Skv:64/Dqk:64/Dv:64/none/T:1
small=attn/fwd_f32_scalar/$shape
best=$("$attnbench" run --list --preset quick --threads 1 | sed -n '1s|^attn/\([^/]*\)/.*|\1|p')
quick='--min-time 0.001 --repetitions 3'
expect 'ab: the scalar kernel is slower' 1 "B is .*|slower by [0-9]{2,}" "$attnbench" ab kernel:"$best" kernel:fwd_f32_scalar --case "$small" $quick
expect 'ab: and says so in words' 0 'faster by [0-9]+\.[0-9] %' "$attnbench" ab fwd_f32_scalar "$best" --case "attn/$best/$shape" $quick --json ab.json --markdown ab.md
if grep -q '"verdict": "faster"' ab.json && grep -q '^| attn' ab.md; then ok 'ab: its files'; else not_ok 'ab: its files' "$(cat ab.json ab.md)"; fi
expect 'ab: a build against itself' 0 'same within 99 %' "$attnbench" ab "$attnbench" "$(dirname "$attnbench")" --case "$small" --margin 99 $quick
expect 'ab: six rounds decide nothing' 5 'inconclusive' "$attnbench" ab env: env:NOTHING=1 --case "$small" --rounds 6 --alpha 0.001 $quick
expect 'ab: not of one sort' 2 'not of one sort' "$attnbench" ab env: threads:1
expect 'ab: no build' 2 'nowhere: neither an executable' "$attnbench" ab nowhere "$attnbench"
expect 'ab: not an attnbench' 2 'ab: ' "$attnbench" ab /bin/false "$attnbench" --case "$small" --rounds 6
expect 'ab: no such kernel' 2 "there is no kernel 'fwd_nothing'" "$attnbench" ab kernel:fwd_nothing kernel:fwd_nothing
expect 'ab: a bad case' 2 "case 'x'" "$attnbench" ab env: env: --case x
expect 'ab: bad environment' 2 "'X' is not NAME=VALUE" "$attnbench" ab env: env:X --case "$small"
expect 'ab: one side' 2 'A and B are needed' "$attnbench" ab env:
expect 'ab: unwritable' 2 'no/ab.json' "$attnbench" ab env: env: --case "$small" --json no/ab.json

# --- gate: against itself, and against a file that claims a tenth of the time: effects that no noise hides, in either direction
"$attnbench" run --times-only --quiet --case "$small" --repetitions 9 --min-time 0.001 --json base.json || not_ok 'a baseline'
awk '/"(real|cpu)_time":/ { v = $2; sub(",", "", v); sub(/[0-9.e+-]+,?$/, v / 10 ","); } { print }' base.json >tenth.json
awk '{ sub(/"host_name": "[^"]*"/, "\"host_name\": \"elsewhere\""); print }' base.json >moved.json
awk '{ sub(/"method_version": "[^"]*"/, "\"method_version\": \"0\""); print }' base.json >old.json
expect 'gate: itself passes' 0 'gate: passed' "$attnbench" gate --baseline "$attnbench" --case "$small" --threshold 400 $quick
expect 'gate: a tenth of the time before is a regression' 1 'slower by .*confirmed' env GITHUB_STEP_SUMMARY=summary.md GITHUB_ACTIONS=true \
  "$attnbench" gate --baseline tenth.json --junit gate.xml --markdown gate.md $quick
case $said in *'::error title=attnbench gate::fwd_f32_scalar'*'slower by'*'%25'*) ok 'gate: annotation' ;; *) not_ok 'gate: annotation' "$said" ;; esac
if grep -q '^## attnbench gate: regression' summary.md && grep -q 'confirmed' gate.md; then ok 'gate: step summary and Markdown'
else not_ok 'gate: step summary and Markdown' "$(cat summary.md gate.md)"; fi
if python3 -c 'import sys, xml.dom.minidom as m
d = m.parse("gate.xml"); sys.exit(not (d.getElementsByTagName("testsuite")[0].getAttribute("failures") == "1" and d.getElementsByTagName("failure")))'
then ok 'gate: JUnit XML'; else not_ok 'gate: JUnit XML' "$(cat gate.xml)"; fi
expect 'gate: six rounds are inconclusive' 5 'gate: inconclusive' "$attnbench" gate --baseline "$attnbench" --case "$small" --rounds 6 --alpha 0.001 $quick
expect 'gate: a file of another machine' 5 'Another machine' "$attnbench" gate --baseline moved.json $quick --rounds 8
expect 'gate: --same-machine' 0 'gate: passed' "$attnbench" gate --baseline moved.json --same-machine --threshold 400 $quick
expect 'gate: a file of another method' 2 "method_version is '0'" "$attnbench" gate --baseline old.json $quick --rounds 8
expect 'gate: nothing of it selected' 2 'none of the selected cases' "$attnbench" gate --baseline base.json --case "attn/$best/$shape"
expect 'gate: no such baseline' 2 'no such file' "$attnbench" gate --baseline no-such-revision
expect 'gate: no baseline' 2 '--baseline is missing' "$attnbench" gate
expect 'gate: truncated file' 2 'truncated.json: line' "$attnbench" gate --baseline truncated.json

# --- doctor: on copies of proc and sys
fake() { mkdir -p "fake/$(dirname "$1")" && printf '%s\n' "$2" >"fake/$1"; }
fake proc/loadavg '0.10 0.10 0.10 1/100 1'
fake proc/cpuinfo 'flags : fpu sse'
fake sys/devices/system/cpu/cpu0/cpufreq/scaling_governor performance
fake sys/devices/system/cpu/cpu1/cpufreq/scaling_governor performance
fake sys/devices/system/cpu/intel_pstate/no_turbo 1
fake sys/devices/system/cpu/smt/active 0
fake sys/devices/system/cpu/isolated 1
fake sys/kernel/mm/transparent_hugepage/enabled 'always [madvise] never'
doctor() { "$attnbench" doctor --root fake --seconds 0 "$@"; }
expect 'doctor: a quiet machine' 0 '^No warning' doctor --strict
expect 'doctor: says what it saw' 0 'ok +governor +performance on all 2 CPUs' doctor
fake sys/devices/system/cpu/cpu1/cpufreq/scaling_governor powersave
expect 'doctor: governor' 4 "warning +governor +'powersave' on 1 of 2 CPUs" doctor --strict
expect 'doctor: and the remedy' 0 'to mend it: .*cpupower' doctor
fake sys/devices/system/cpu/cpu1/cpufreq/scaling_governor performance
fake proc/loadavg '3.00 0.10 0.10 1/100 1'
expect 'doctor: load' 4 'warning +load +3\.00' doctor --strict
fake proc/loadavg '0.10 0.10 0.10 1/100 1'
fake sys/devices/system/cpu/intel_pstate/no_turbo 0
fake sys/devices/system/cpu/smt/active 1
fake sys/kernel/mm/transparent_hugepage/enabled 'always madvise [never]'
fake proc/cpuinfo 'flags : fpu hypervisor'
expect 'doctor: notes are no refusal' 0 'note +turbo +on' doctor --strict
expect 'doctor: siblings' 0 'note +smt +on' doctor
expect 'doctor: large pages' 0 'note +pages +no transparent' doctor
expect 'doctor: virtual' 0 'note +virtual' doctor
expect 'doctor: --json' 0 '"check": "virtual"' doctor --json
expect 'doctor: nothing to read' 0 'unknown +load' "$attnbench" doctor --root nowhere --seconds 0
expect 'doctor: watches' 0 '(ok|warning) +drift' "$attnbench" doctor --seconds 0.2
expect 'doctor: bad seconds' 2 "seconds: 'x'" "$attnbench" doctor --seconds x
run() { "$attnbench" run --times-only --case "$small" $quick "$@"; }
expect 'run: findings stand in the JSON' 0 '"doctor_load"' sh -c "'$attnbench' run --times-only --quiet --case '$small' $quick --json /dev/stdout | cat"
# --- counters
expect 'counters: software ones count or say why not' 0 '(task-clock of a call: [0-9]|task-clock: n/a: )' run --counters task-clock,page-faults
expect 'counters: hardware ones count or say why not' 0 '(cycles of a call: [0-9]|cycles: n/a: [a-z])' run --counters cycles,instructions
expect 'counters: unknown' 2 "no counter 'x'; known: cycles, instructions" run --counters x

finish
