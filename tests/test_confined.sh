#!/bin/sh
# Commands where something is missing: a closed or full standard output, folders that cannot be written, little memory, few
# CPU time. A documented exit code, a message, no half file, no crash.
#
# usage: BUILD=build sh tests/test_confined.sh
set -u
. tests/shell.sh

# npy FILE SHAPE FLOATS: zeros.
npy() {
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }" > "$1"
  head -c $((4 * $3)) /dev/zero >> "$1"
}
npy q.npy '1, 2, 5, 8' 80
npy k.npy '1, 2, 7, 8' 112
npy v.npy '1, 2, 7, 8' 112
case_name=attn/fwd_f32_scalar/f32/B:1/Hq:1/Hkv:1/Sq:4/Skv:4/Dqk:8/Dv:8/none/T:1
printf '{"context": {}, "benchmarks": [{"name": "a", "run_type": "iteration", "real_time": 1, "time_unit": "ms"}]}' > a.json

# told NAME STATUS COMMAND...: that exit status, and something on standard error.
told() {
  name=$1 status=$2
  shift 2
  "$@" > out 2> err < /dev/null
  got=$?
  if [ $got -ne "$status" ]; then not_ok "$name" "exit status $got instead of $status: $(cat err)"
  elif [ "$status" -ne 0 ] && [ ! -s err ]; then not_ok "$name" "silent"
  else ok "$name"
  fi
}

for command in 'info' 'info --json' '--help' '--version' 'run --help' 'compare --help' 'explain --help'; do
  told "$command: standard output is closed" 2 sh -c '"$0" $1 >&-' "$attnbench" "$command"
  [ ! -e /dev/full ] || told "$command: standard output is full" 2 sh -c '"$0" $1 > /dev/full' "$attnbench" "$command"
  told "$command: standard input is closed" 0 sh -c '"$0" $1 <&-' "$attnbench" "$command"
  told "$command: a reader that goes away" 0 sh -c '"$0" $1 | true; exit 0' "$attnbench" "$command"
done

# As a user without rights, if this is root.
as_user() { "$@"; }
can=1
if [ "$(id -u)" = 0 ]; then
  as_user() { setpriv --reuid=65534 --clear-groups "$@"; }
  chmod 711 . && chmod 644 ./*.npy a.json
  command -v setpriv > /dev/null && as_user test -x "$attnbench" || can=
fi
mkdir locked
chmod 555 locked
if [ -n "$can" ]; then
  told 'attend: a folder that cannot be written' 2 as_user "$attnbench" attend -q q.npy -k k.npy -v v.npy --out locked/o.npy
  told 'report: a folder that cannot be written' 2 as_user "$attnbench" report a.json -o locked/page.html
  told 'history: a folder that cannot be written' 2 as_user "$attnbench" history add a.json --db locked/runs.db
  told 'explain: a folder that cannot be written' 2 as_user "$attnbench" explain 'a b' --html locked/page.html
  check 'nothing was left in it' sh -c '[ -z "$(ls -A locked)" ]'
else
  skip "the build's folder cannot be entered by another user"
fi

told 'attend: 256 MiB of address space and 16 threads' 0 sh -c 'ulimit -v 262144; ATTN_NUM_THREADS=16 "$0" attend -q q.npy -k k.npy -v v.npy --out o.npy' "$attnbench"
told 'run: a second of CPU time' 1 sh -c 'ulimit -t 1; "$0" run --preset full --json r.json; [ $? -lt 6 ] || { echo killed >&2; exit 1; }' "$attnbench"
check 'no half file of it' sh -c '[ ! -e r.json ]'
for threads in 1 3 17 256; do
  told "verify: $threads threads" 0 env ATTN_NUM_THREADS=$threads "$attnbench" attend -q q.npy -k k.npy -v v.npy --out o.npy
done
told 'more threads than there can be' 2 "$attnbench" attend -q q.npy -k k.npy -v v.npy --out o.npy -t 99999
told 'a case of the largest sizes' 2 "$attnbench" run --case "$(echo $case_name | sed 's/[0-9][0-9]*\/H/2147483648\/H/; s/Sq:4/Sq:2147483648/; s/Skv:4/Skv:2147483648/')"
finish
