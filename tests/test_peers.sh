#!/bin/sh
# The comparison's manners where it cannot run: no network, no place to write, a peer or case that does not exist. Each must
# say what is missing and exit 2 without measuring. Also the parts that need no peer: the statistics and the reading of attn.h.
set -u
cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-python3}
work=$(mktemp -d) || exit 2
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
passed=0 failed=0
unset MAKEFLAGS MAKELEVEL

# check STATUS WHAT: counts; tells what failed.
check() {
  if [ "$1" = 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    shift
    echo "FAILED: $*: $(head -n 3 "$work/err")"
  fi
}

# expect NAME PATTERN COMMAND...: exit code 2 without measuring anything (which takes longer than the 200 seconds of the limit), and standard
# error matches.
expect() {
  name=$1 pattern=$2
  shift 2
  timeout 200 "$@" >"$work/out" 2>"$work/err"
  code=$?
  [ $code = 2 ]
  check $? "$name: exit code $code, not 2 (124: took more than 200 s)"
  grep -Eq -e "$pattern" "$work/err"
  check $? "$name: standard error does not say '$pattern'"
}
peers="$python -B tools/peers/main.py"

# An index that refuses connections stands for no network: port 9 of this machine, where nothing listens.
no_network="env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null PIP_INDEX_URL=http://127.0.0.1:9/simple"
expect "no network" 'numpy could not be installed' $no_network $peers --build "$work/offline" --case vit-l16
grep -q 'is there a network' "$work/err"
check $? "no network: no remedy named"
expect "no network, make" 'numpy could not be installed' $no_network make -s peers BUILD="$work/offline"

# A file where the folder should be: unwritable for root as well.
: >"$work/file"
expect "unwritable" "cannot write to $work/file" $peers --build "$work/file"
expect "unwritable, make" "cannot write to $work/file" make -s peers BUILD="$work/file"
if [ "$(id -u)" != 0 ]; then
  mkdir -m 555 "$work/locked"
  expect "read-only" "cannot write to $work/locked" $peers --build "$work/locked"
fi

expect "unknown case" 'no case matches; there are: bert-base' $peers --case nonsense
expect "bad expression" '--case: ' $peers --case '('
expect "unknown peer" 'no such peer; there are: torch' $peers --peer nonsense
expect "too many threads" 'must be all or 1 to' $peers --threads 100000
expect "no folder" 'cannot write ' $peers --build "$work" --json "$work/none/x.json"
expect "rounds" 'not a positive number' $peers --rounds 0

$peers --list >"$work/out" 2>"$work/err"
check $? "--list: exit code"
grep -q '^llama31-8b-4096 .*32/8 heads, 4096 x 4096, D 128, causal, f32' "$work/out"
check $? "--list: Llama is not in it"
$peers --help | grep -q 'exit codes'
check $? "--help: no exit codes in it"
$peers --case 'attn/ggml/f32/B:1/Hq:16/Hkv:16/Sq:197/Skv:197/Dqk:64/Dv:64/none/T:2/real_time' --list >"$work/out" &&
  [ "$(grep -c ' heads, ' "$work/out")" = 1 ] && grep -q '^vit-l16 ' "$work/out"
check $? "--case: a row's name finds no case"

PYTHONPATH=tools/peers $python -B - "$work" >"$work/err" 2>&1 <<'PYTHON'
import ctypes, math, os, sys
from header import Header, HeaderError
from stats import geomean, median, sign_interval

# n = 6: nothing can be left out, 1 - 2/64; n = 9: one on each side, 1 - 2 (1 + 9)/512; n = 25: seven, the textbook value.
low, high, level = sign_interval(range(6))
assert (low, high) == (0, 5) and math.isclose(level, 1 - 2 / 64), (low, high, level)
low, high, level = sign_interval(range(9))
assert (low, high) == (1, 7) and math.isclose(level, 1 - 20 / 512), (low, high, level)
assert sign_interval(range(25))[:2] == (7, 17)
low, high, level = sign_interval([3, 1, 2])
assert (low, high) == (1, 3) and math.isclose(level, 0.75), (low, high, level)
assert sign_interval([5])[:2] == (5, 5) and sign_interval([5])[2] == 0
assert median([3, 1, 2]) == 2 and median([4, 1, 2, 3]) == 2.5 and math.isclose(geomean([2, 8]), 4)

# A header of which every kind of declaration is read, held against the layout that ctypes gives.
path = os.path.join(sys.argv[1], "small.h")
body = """typedef enum attn_dtype { ATTN_F32 = 0, /* a, b */ ATTN_X } attn_dtype;
enum { ATTN_CAUSAL = 1u << 4 };
typedef struct attn_strides { int64_t b, h; } attn_strides;
typedef struct attn_mask { attn_dtype d; attn_strides s; } attn_mask;
typedef struct attn_desc { attn_mask m; float f; } attn_desc;
typedef struct attn_options { const char *name; int n; } attn_options;
typedef struct attn_args { const void *a, *b; size_t n; } attn_args;
"""
with open(path, "w") as file:
    file.write(body)
header = Header(path)
assert header.constants == {"ATTN_F32": 0, "ATTN_X": 1, "ATTN_CAUSAL": 16} and header.dtypes == {"f32": 0, "x": 1}
assert header.structs["attn_desc"].f.offset == 24 and ctypes.sizeof(header.structs["attn_args"]) == 24
with open(path, "w") as file:
    file.write(body.replace("float f", "quux_t f"))
try:
    Header(path)
except HeaderError as error:
    assert "quux_t" in str(error)
else:
    raise AssertionError("a type that is not known was accepted")
PYTHON
check $? "statistics or the reading of a header"

# The check itself can fail: an offset that is off by one does not compile.
$python -B tools/peers/header.py include/attn.h >"$work/layout.c" 2>"$work/err"
check $? "header.py cannot read attn.h"
${CC:-cc} -std=c11 -Iinclude -fsyntax-only "$work/layout.c" 2>"$work/err"
check $? "attn.h differs from what was read"
sed 's/offsetof(attn_desc, Skv) == /&1 + /' "$work/layout.c" >"$work/wrong.c"
! ${CC:-cc} -std=c11 -Iinclude -fsyntax-only "$work/wrong.c" 2>/dev/null
check $? "a wrong offset compiles"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
