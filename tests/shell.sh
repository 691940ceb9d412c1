# Read by the shell tests (. tests/shell.sh, from the top of the tree): $attnbench, a folder of its own as the current one,
# counts. A test ends with `finish`.
attnbench=$(cd "${BUILD:-build}" && pwd)/attnbench
[ -x "$attnbench" ] || { echo "no $attnbench: make it first"; echo "0 passed, 1 failed"; exit 1; }
unset ATTN_ISA ATTN_KERNEL ATTN_NUM_THREADS ATTN_DEBUG ATTN_TUNING ATTN_QUIRKS GITHUB_ACTIONS GITHUB_STEP_SUMMARY
top=$(pwd)
work=$(mktemp -d) || exit 4
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 4
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); echo "ok $((passed + failed)) - $1"; }
not_ok() {
  failed=$((failed + 1))
  echo "not ok $((passed + failed)) - $1"
  [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/#   /'
}
skip() { skipped=$((skipped + 1)); echo "skipped: $1"; }

# check NAME COMMAND...: it succeeds.
check() {
  name=$1
  shift
  if said=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$said"; fi
}

finish() {
  printf '%d passed, %d failed' $passed $failed
  [ $skipped -eq 0 ] || printf ', %d skipped' $skipped
  printf '\n'
  [ $failed -eq 0 ]
  exit
}
