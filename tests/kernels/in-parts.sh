#!/bin/bash
# The kernel harness in as many parts at once as there are cores: in-parts.sh PROGRAM [OPTION]...
# Ends with "N passed, N failed[, N skipped]"; a part that crashes or tells no counts is a failure. Exit code: 0 or 3.
set -uo pipefail
program=$1 parts=$(nproc)
shift
work=$(mktemp -d) || exit 3
trap 'kill $(jobs -p) 2> /dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
for ((part = 1; part <= parts; part++)); do
  { "$program" "$@" --part $part/$parts; echo $? > "$work/$part.code"; } > "$work/$part" 2>&1 < /dev/null &
done
wait
passed=0 failed=0 skipped=0
for ((part = 1; part <= parts; part++)); do
  echo "== part $part of $parts"
  cat "$work/$part"
  code=$(cat "$work/$part.code")
  read -r p f s < <(sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$work/$part") || true
  passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
  if [ "${p:-0}" = 0 ] || { [ "$code" != 0 ] && [ "${f:-0}" = 0 ]; }; then
    echo "FAIL part $part: ended with code $code"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ] || exit 3
