#!/bin/sh
# compare, ab, gate, doctor as a user meets them: verdicts, exit codes, messages, files.
#
# usage: BUILD=build sh tests/test_lab.sh
set -u
attnbench=$(cd "${BUILD:-build}" && pwd)/attnbench
[ -x "$attnbench" ] || { echo "no $attnbench: make it first"; echo "0 passed, 1 failed"; exit 1; }
unset ATTN_ISA ATTN_KERNEL ATTN_NUM_THREADS ATTN_DEBUG GITHUB_ACTIONS GITHUB_STEP_SUMMARY
work=$(mktemp -d) || exit 4
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 4
passed=0 failed=0

ok() { passed=$((passed + 1)); echo "ok $((passed + failed)) - $1"; }
not_ok() {
  failed=$((failed + 1))
  echo "not ok $((passed + failed)) - $1"
  [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/#   /'
}

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

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
