#!/bin/sh
# What is built has the usual defences, and is linked with nothing whose licence is not in docs/licences.list.
#
# usage: BUILD=build sh tests/test_hardening.sh
set -u
. tests/shell.sh
command -v readelf > /dev/null || { skip "no readelf (binutils)"; finish; }
library=$(dirname "$attnbench")/libattn.so

for file in "$attnbench" "$library"; do
  name=$(basename "$file")
  [ -e "$file" ] || { skip "no $file"; continue; }
  readelf -lW "$file" > headers
  readelf -dW "$file" > dynamic
  readelf -sW --dyn-syms "$file" > symbols
  check "$name: the stack is not executable" sh -c 'grep GNU_STACK headers | grep -q " RW " && ! grep GNU_STACK headers | grep -q E'
  check "$name: no segment is writable and executable" sh -c '! grep LOAD headers | grep -q "RWE"'
  check "$name: relocations are read-only" grep -q GNU_RELRO headers
  check "$name: symbols are bound at the start" grep -Eq 'BIND_NOW|Flags:.*NOW' dynamic
  check "$name: no text relocations" sh -c '! grep -q TEXTREL dynamic'
  check "$name: no RPATH, no RUNPATH" sh -c '! grep -Eq "RPATH|RUNPATH" dynamic'
  check "$name: position-independent" sh -c 'readelf -hW "$1" | grep -q "Type: *DYN"' sh "$file"
  check "$name: stack protector" grep -q __stack_chk_fail symbols
  check "$name: fortified" grep -Eq '__[a-z]+_chk' symbols
  for needed in $(sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' dynamic); do
    check "$name: the licence of $needed is known" grep -q "^$needed " "$top/docs/licences.list"
  done
done
finish
