#!/bin/sh
# What becomes of the output of `attnbench run` and `attnbench report` when somebody interrupts, the reader goes away, the disk
# is full or the folder may not be written: a message, the right exit code, whole files or none.
#
# usage: BUILD=build sh tests/test_run_output.sh
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
export ATTN_NUM_THREADS=1
no_leftover() { check "$1: no temporary file" sh -c '! ls -A | grep -q "^\.attnbench"'; }
whole() { # whole FILE: ends as the JSON of a run does
  [ "$(head -c 1 "$1")" = '{' ] && [ "$(tail -n 1 "$1")" = '}' ] && grep -q '"benchmarks": \[' "$1"
}
small='attn/fwd_f32_scalar/f32/B:1/Hq:1/Hkv:1/Sq:16/Skv:16/Dqk:16/Dv:16/none/T:1'
run() { "$attnbench" run --times-only "$@"; }
quick="--repetitions 2 --min-time 0.001"

# --- Ctrl-C
slow='attn/fwd_f32_scalar/f32/B:1/Hq:1/Hkv:1/Sq:16/Skv:32/Dqk:16/Dv:16/none/T:1'
interrupt() { # interrupt SIGNAL SECONDS OPTIONS...: so long after the files were opened; exit code in $code
  signal=$1 after=$2
  shift 2
  "$attnbench" run --times-only "$@" > out 2> err &
  pid=$!
  until ls -A | grep -q '^\.attnbench' || ! kill -0 $pid 2> waited; do sleep 0.1; done
  sleep "$after"
  kill -"$signal" $pid
  wait $pid 2> waited
  code=$?
}
# Between repetitions, and within the first one: Google Benchmark is to be left differently.
for min_time in 0.02 10; do
  interrupt INT 1.5 --case "$slow" --repetitions 1000 --min-time $min_time --json none.json
  check "interrupted, repetitions of $min_time s: exit code $code, wanted 130" [ $code = 130 ]
  check "interrupted, repetitions of $min_time s: no file" [ ! -e none.json ]
  no_leftover "interrupted, repetitions of $min_time s"
done
long='attn/fwd_f32_scalar/f32/B:1/Hq:1/Hkv:1/Sq:4096/Skv:4096/Dqk:64/Dv:64/none/T:1' # a second a call
for after in 2 5 10 20 40; do # until the first case is done, however slow the machine
  interrupt INT $after --case "$small" --case "$long" --repetitions 100 --min-time 0.001 --json some.json
  grep -q 'interrupted after 0 of' err || break
done
check "interrupted: exit code $code, wanted 130" [ $code = 130 ]
check 'interrupted: says how far it came' grep -q 'interrupted after 1 of 2 cases' err
check 'interrupted: the table has what was finished' grep -q 'S16 D16.*fwd_f32_scalar' out
check 'interrupted: so has the file' whole some.json
check 'interrupted: with the one case' [ "$(grep -c '"aggregate_name": "median"' some.json)" = 1 ]
no_leftover 'interrupted'
printf precious > kept.json
interrupt TERM 1 --case "$slow" --repetitions 1000 --min-time 1 --json kept.json
check "terminated: exit code $code, wanted 143" [ $code = 143 ]
check 'terminated: the older file is whole' [ "$(cat kept.json)" = precious ]
no_leftover 'terminated'

# --- a reader that goes away, and one that takes nothing
{ run --case "$small" $quick --json headed.json 2> err; echo $? > code; } | head -n 1 > out
check "| head: exit code $(cat code), wanted 0" [ "$(cat code)" = 0 ]
check '| head: the file is whole' whole headed.json
check '| head: no message' [ ! -s err ]
if [ -e /dev/full ]; then
  run --case "$small" $quick --json full.json > /dev/full 2> err
  code=$?
  check "a full device as output: exit code $code, wanted 2" [ $code = 2 ]
  check 'a full device as output: says so' grep -q 'standard output: No space left' err
  check 'a full device as output: the file is whole all the same' whole full.json
  run --case "$small" $quick --json /dev/full > out 2> err
  code=$?
  check "a full device as file: exit code $code, wanted 2" [ $code = 2 ]
  check 'a full device as file: says so' grep -q '/dev/full: .*No space left' err
  check 'a full device as file: the table is there' grep -q 'fwd_f32_scalar' out
fi

# --- a full disk: the file ends early. Other files of the same run are written.
(
  ulimit -f 4
  run --preset small $quick --threads 1 --json kept.json --csv other.csv > out 2> err
)
code=$?
check "a full disk: exit code $code, wanted 2" [ $code = 2 ]
check 'a full disk: names the file' grep -q 'kept.json: could not be written completely' err
check 'a full disk: the older file is whole' [ "$(cat kept.json)" = precious ]
no_leftover 'a full disk'

# --- folders that may not be written, told before anything is measured
"$attnbench" run --times-only --case "$small" $quick --quiet --json results.json 2> err
before() { # before NAME PATTERN COMMAND...: refused at once, while the case would take a thousand seconds
  refusal=$1 pattern=$2
  shift 2
  timeout 200 "$@" > out 2> err
  code=$?
  check "$refusal: exit code $code, wanted 2" [ $code = 2 ]
  check "$refusal: says why" grep -q "$pattern" err
}
before 'a folder that is not there' 'no/such/r.json: cannot be written there: No such file' "$attnbench" run --case "$slow" --repetitions 1000 --min-time 1 --json no/such/r.json
before 'a folder as file' 'is a folder; give the name' "$attnbench" run --case "$slow" --repetitions 1000 --min-time 1 --json .
mkdir locked && chmod 555 locked
if [ "$(id -u)" != 0 ]; then as=env
elif command -v setpriv > /dev/null && chmod 711 . && setpriv --reuid=65534 --clear-groups test -x "$attnbench"; then
  as='setpriv --reuid=65534 --clear-groups'
else as=; fi
if [ -n "$as" ]; then
  before 'a read-only folder' 'locked/r.json: cannot be written there: Permission denied' $as "$attnbench" run --case "$slow" --repetitions 1000 --min-time 1 --json locked/r.json
  chmod 644 results.json
  before 'report: a read-only folder' 'locked/r.html: cannot be written there: Permission denied' $as "$attnbench" report results.json -o locked/r.html
else
  skip 'root may write everywhere, and cannot become somebody else here'
fi
finish
