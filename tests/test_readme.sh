#!/bin/sh
# The program in README.md is examples/readme.c, word for word, and it compiles and runs; every relative link leads somewhere.
# BUILD: where libattn.a stands. Ends with "N passed, N failed"; exit 1 if any failed.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build} CC=${CC:-cc}
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT || exit 1
passed=0 failed=0
check() { # $1: what; the rest: a command
  what=$1
  shift
  if "$@" > "$dir/out" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL $what"
    sed 's/^/  /' "$dir/out"
  fi
}

awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md > "$dir/readme.c"
check 'README.md shows examples/readme.c' diff "$dir/readme.c" examples/readme.c
check 'examples/readme.c compiles' $CC -std=c11 -Wall -Wextra -Werror -Iinclude examples/readme.c "$BUILD/libattn.a" -fopenmp \
  ${LIB_LIBS--lhwloc -lm -lpthread} ${LDFLAGS-} -o "$dir/readme"
check 'examples/readme.c runs' sh -c '"$1" > "$2"' run "$dir/readme" "$dir/answer"
check 'its result is right' grep -Eq '^fwd_f32_[a-z0-9]+, [0-9]+ threads: row 0 is 0, row 1 lies between 0 and 1: 0\.[0-9]+$' "$dir/answer"

for document in README.md CONTRIBUTING.md NEWS.md docs/*.md; do
  for link in $(grep -oE '\]\([^)#]+' "$document" | sed 's/^](//' | grep -v '^https\?:'); do
    check "$document links to $link" test -e "$(dirname "$document")/$link"
  done
done

if python3 -c 'import numpy' 2> /dev/null; then
  check 'examples/attend_ctypes.py runs' env ATTN_LIBRARY="$BUILD/libattn.so" python3 examples/attend_ctypes.py
else
  echo "note: no numpy, examples/attend_ctypes.py was not run"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
