# For bash scripts that run several programs at once, each of which ends with "N passed, N failed[, N skipped]", and end so
# themselves. Sourced, with no command in the background yet.
#
#   start_part NAME COMMAND...   starts one
#   sum_parts                    waits for all, shows what each said and the sum. Exit code: 0, or 3 if something failed. A
#                                part that crashed, ran no check or told no counts is a failure.
#
# Whatever the script starts in the background ends with it, and $parts_dir with all that is in it is removed.
parts=()
parts_dir=$(mktemp -d) || exit 3
set -m # a process group for each
trap 'for part in $(jobs -p); do kill -- "-$part" 2> /dev/null || true; done; wait; rm -rf "$parts_dir"' EXIT
trap 'exit 130' INT TERM

start_part() {
  local name=$1
  shift
  parts+=("$name")
  {
    local code=0
    "$@" || code=$?
    echo $code > "$parts_dir/$name.code"
  } > "$parts_dir/$name" 2>&1 < /dev/null &
}

sum_parts() {
  local name code p f s passed=0 failed=0 skipped=0
  wait
  for name in "${parts[@]}"; do
    echo "== $name"
    cat "$parts_dir/$name"
    code=$(cat "$parts_dir/$name.code")
    read -r p f s < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$parts_dir/$name" |
      tail -n 1) || true
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
    if [ "${p:-0}" = 0 ] || { [ "$code" != 0 ] && [ "${f:-0}" = 0 ]; }; then
      echo "FAIL $name: ended with code $code$([ "$code" != 124 ] || echo ", out of time")"
      failed=$((failed + 1))
    fi
  done
  echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
  [ $failed = 0 ] || exit 3
}
