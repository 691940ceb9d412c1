#!/bin/bash
# commands.sh --attnbench PROGRAM [--all]: every command, with each of its calls that can fail failing once.
#
# PROGRAM is linked with fault.c and sanitized. A faulted run must end with a documented exit code and a message, or succeed
# with the right output; it must leave the old file or the whole new one and nothing else, leak nothing, and the same command
# must work afterwards. --all also takes the commands that run for seconds. The last line is "N passed, N failed".
set -u
attnbench= all=
while [ $# -gt 0 ]; do
  case $1 in
  --attnbench) attnbench=$(realpath "$2"); shift 2 ;;
  --all) all=1; shift ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
here=$(cd "$(dirname "$0")" && pwd)
[ -x "$attnbench" ] || { echo "no '$attnbench': make faults-build"; echo "0 passed, 1 failed"; exit 1; }
work=$(mktemp -d) || exit 4
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export ASAN_OPTIONS=detect_leaks=1:exitcode=77:allocator_may_return_null=1 UBSAN_OPTIONS=exitcode=77
export LSAN_OPTIONS=suppressions=$here/../lsan.supp:print_suppressions=0:exitcode=77 ATTN_NUM_THREADS=2
export ATTNBENCH_DB=$work/folder/runs.db
unset ATTN_ISA ATTN_KERNEL ATTN_DEBUG ATTN_TUNING ATTN_QUIRKS GITHUB_ACTIONS GITHUB_STEP_SUMMARY
passed=0 failed=0 sites=0

. "$here/../inputs.sh"
mkdir "$work/inputs"
cd "$work/inputs" || exit 4
make_inputs
"$attnbench" history add a.json > ../said 2>&1 || { cat ../said; echo "0 passed, 1 failed"; exit 1; }
cp "$ATTNBENCH_DB" runs.db 2> /dev/null || cp ../folder/runs.db . 2> /dev/null

not_ok() {
  failed=$((failed + 1))
  echo "FAIL attnbench $command, site $at ($(sed -n 's/^failed //p' ../log)): $1"
  sed 's/^/  | /' ../err | head -n 30
}

# In a folder as it was before, with the fault.
attempt() {
  rm -rf "$work/folder" ../log
  cp -r "$work/inputs" "$work/folder"
  cd "$work/folder" || exit 4
  [ -z "$out" ] || echo old > "$out"
  ls -A > ../before
  FAULT_AT=$1 FAULT_LOG=../log timeout 120 "$attnbench" "${arguments[@]}" > ../out 2> ../err < /dev/null
  status=$?
  ls -A > ../after
}

# Not the old file: a page, or a JSON document from its beginning to its end (one a line where there are several).
is_whole() {
  case $1 in
  *.html) [ -s "$1" ] && [ "$(head -c 4 "$1")" != 'old' ] ;;
  *) python3 -c 'import json, sys
text = open(sys.argv[1]).read()
try: json.loads(text)
except ValueError: [json.loads(line) for line in text.splitlines()]' "$1" 2> /dev/null ;;
  esac
}

# try OUT ARGUMENT...: OUT is the file that the command writes; "": none.
try() {
  local first total status
  out=$1
  shift
  command=$* arguments=("$@") at=0
  attempt 0
  first=$status
  total=$(sed -n 's/ sites$//p' ../log)
  if [ "$first" -ge 6 ] || [ -z "$total" ]; then not_ok "status $first without a fault"; return; fi
  [ -z "$out" ] || cp "$out" ../whole
  cp ../after ../usual
  for ((at = 1; at <= total; at++)); do
    attempt $at
    grep -q '^failed nothing' ../log 2> /dev/null && continue # another order of threads
    sites=$((sites + 1))
    if [ $status -gt 5 ] || { [ $status -eq 1 ] && [ "$first" -ne 1 ]; }; then not_ok "exit status $status"
    elif grep -q -e 'Sanitizer' -e 'runtime error' ../err; then not_ok "a sanitizer's report"
    elif [ $status -ge 2 ] && [ "$status" -ne "$first" ] && [ ! -s ../err ] && ! grep -q "^error " ../out; then not_ok "silent, exit status $status"
    elif [ -n "$out" ] && ! cmp -s "$out" ../whole && { [ $status -eq "$first" ] || [ "$(cat "$out")" != old ]; }; then
      if [ -n "${varies-}" ] && { [ $status -eq "$first" ] || [ $status = 2 ]; } && is_whole "$out"; then
        passed=$((passed + 1)) # 2: of cases that were left out the file tells
        continue
      fi
      not_ok "exit status $status, but $out is neither the old file nor the whole new one"
    elif ! cmp -s ../before ../after && ! { [ $status -eq "$first" ] && cmp -s ../usual ../after; } && [ -z "${leaves-}" ]; then not_ok "files left: $(tr '\n' ' ' < ../after)"
    else passed=$((passed + 1))
    fi
  done
  echo "attnbench $command: $total sites"
  at=0
  attempt 0
  [ "$status" = "$first" ] || not_ok "status $status instead of $first afterwards"
}

try o.npy attend --q q.npy --k k.npy --v v.npy --out o.npy --lse l.npy
try '' compare a.json b.json
leaves=1 try '' history add b.json
try export.json history export -o export.json
if [ -n "$all" ]; then
  try '' info
  try '' info --json
  try '' explain 'the cat sat on the mat'
  try '' conformance case
  varies=1 try page.html report -o page.html a.json b.json
  try '' history list
  try '' history trend --json
  leaves=1 try '' history import a.json
  try '' doctor
  varies=1 try r.json run --case 'attn/fwd_f32_scalar/f32/B:1/Hq:1/Hkv:1/Sq:4/Skv:4/Dqk:8/Dv:8/none/T:2' --json r.json
fi
echo "$sites sites, each failed once"
echo "$passed passed, $failed failed"
[ $failed = 0 ] || exit 3
