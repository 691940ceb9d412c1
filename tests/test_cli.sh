#!/bin/sh
# The command as a user meets it: exit codes, messages, files. Arrays are made with printf; with keys of zeros every visible
# key has the same weight, so that the right answers are plain averages of the values.
#
# usage: BUILD=build sh tests/test_cli.sh
set -u
. tests/shell.sh

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

same() { # same NAME FILE FILE
  if cmp -s "$2" "$3"; then ok "$1"; else not_ok "$1" "$2 and $3 differ: $(od -A d -t f4 -j 128 "$2" 2>&1 | head -n 4)"; fi
}

absent() { # absent NAME FILE: nor any temporary
  if [ ! -e "$2" ] && [ -z "$(ls -A | grep '^\.attnbench')" ]; then ok "$1"; else not_ok "$1" "$(ls -A)"; fi
}

# npy FILE DESCR SHAPE DATA: DATA is a printf string. Version 1.0, padded to 128 bytes as NumPy does. $fortran: True, False.
fortran=False
npy() {
  text="{'descr': '$2', 'fortran_order': $fortran, 'shape': $3, }"
  { printf '\223NUMPY\001\000\166\000'; printf '%-117s\n' "$text"; printf "$4"; } >"$1"
}
zero='\000\000\000\000' one='\000\000\200\077' two='\000\000\000\100' three='\000\000\100\100' four='\000\000\200\100'
nan='\000\000\300\177' minus_inf='\000\000\200\377'

# --- the command itself
expect 'no command: usage' 2 '^Usage: attnbench' "$attnbench"
expect '--help lists commands' 0 'attend' "$attnbench" --help
expect '--version' 0 '^attnbench [0-9]+\.[0-9]+\.[0-9]+$' "$attnbench" --version
expect 'a typo gets a suggestion' 2 "did you mean 'attend'" "$attnbench" atend
expect 'nonsense gets none' 2 "no command 'xyzzyx'$" "$attnbench" xyzzyx
expect 'an option before the command' 2 "unknown option '--threads'" "$attnbench" --threads 2
expect 'help of a command' 0 'Examples:' "$attnbench" help attend
expect 'help of an unknown command' 2 'no command' "$attnbench" help nothing
for command in $("$attnbench" --help | awk '/^Environment/ { exit } /^  [a-z]/ { print $1 }'); do
  expect "$command --help" 0 '^[Uu]sage: attnbench '"$command" "$attnbench" "$command" --help
  expect "$command: unknown option" 2 'unrecognized .*--no-such-option' "$attnbench" "$command" --no-such-option
done
if [ -e /dev/full ]; then
  said=$("$attnbench" info 2>&1 >/dev/full)
  if [ $? -eq 2 ] && [ -n "$said" ]; then ok 'standard output on a full disk'; else not_ok 'standard output on a full disk' "$said"; fi
fi
said=$({ "$attnbench" --help; echo "status $?" >&2; } 2>&1 >/dev/null | true; { "$attnbench" info 2>&1 >&3 | cat; } 3>&1 | true)
if [ -z "$said" ]; then ok 'a reader that goes away is no error'; else not_ok 'a reader that goes away is no error' "$said"; fi

# --- info
expect 'info names the ISA in force' 0 '^ISA +[a-z0-9]+ in force' "$attnbench" info
expect 'info: ATTN_ISA=scalar' 0 '^ISA +scalar in force .*ATTN_ISA=scalar' env ATTN_ISA=scalar "$attnbench" info
expect 'info: scalar kernel is chosen' 0 'fwd_f32_scalar +chosen' env ATTN_ISA=scalar "$attnbench" info
expect 'info: ATTN_ISA=nonsense' 2 'ATTN_ISA=nonsense.*valid.*scalar' env ATTN_ISA=nonsense "$attnbench" info
expect 'info: ATTN_KERNEL=nonsense' 2 'ATTN_KERNEL=nonsense.*valid.*fwd_f32_scalar' env ATTN_KERNEL=nonsense "$attnbench" info
expect 'info: ATTN_NUM_THREADS=x' 2 'ATTN_NUM_THREADS=x' env ATTN_NUM_THREADS=x "$attnbench" info
expect 'info: ATTN_NUM_THREADS=3' 0 '^Threads +3 ' env ATTN_NUM_THREADS=3 "$attnbench" info
expect 'info --json' 0 '"isa_in_force": "scalar"' env ATTN_ISA=scalar "$attnbench" info --json
expect 'info: stray argument' 2 "'stray'" "$attnbench" info stray

# --- attend: right answers. 2 queries, 2 keys, D = 1; v = 1, 3
npy q.npy '<f4' '(2, 1)' "$zero$zero"
npy k.npy '<f4' '(2, 1)' "$zero$zero"
npy v.npy '<f4' '(2, 1)' "$one$three"
npy wanted_average.npy '<f4' '(2, 1)' "$two$two"
npy wanted_causal.npy '<f4' '(2, 1)' "$one$two"
npy wanted_first.npy '<f4' '(2, 1)' "$one$one"
npy wanted_hidden.npy '<f4' '(2, 1)' "$zero$two"
npy wanted_lse.npy '<f4' '(2,)' "$minus_inf\\030\\162\\061\\077"
attend() { "$attnbench" attend --q q.npy --k k.npy --v v.npy "$@"; }
expect 'attend tells kernel and ISA' 0 'kernel +fwd_f32_scalar \(ISA scalar\)' env ATTN_ISA=scalar "$attnbench" attend -q q.npy -k k.npy \
  -v v.npy --out o.npy
same 'attend: the average' o.npy wanted_average.npy
expect 'attend --causal' 0 'GFLOP/s' attend --causal --out o.npy
same 'attend --causal: the last query sees all' o.npy wanted_causal.npy
expect 'attend --causal-offset' 0 'kernel' attend --causal-offset -1 --out o.npy --lse l.npy
npy wanted_minus.npy '<f4' '(2, 1)' "$zero$one"
same 'attend --causal-offset: one key less' o.npy wanted_minus.npy
npy m.npy '|b1' '(2, 2)' '\000\000\001\001'
expect 'attend --mask (bool)' 0 'kernel' attend --mask m.npy --out o.npy --lse l.npy
same 'attend: a query that sees nothing gets 0' o.npy wanted_hidden.npy
same 'attend --lse: -inf and ln 2' l.npy wanted_lse.npy
npy m.npy '<f4' '(1, 2)' "$zero$minus_inf"
npy v_nan.npy '<f4' '(2, 1)' "$one$nan"
expect 'attend --mask (additive, broadcast)' 0 'kernel' "$attnbench" attend -q q.npy -k k.npy -v v_nan.npy -m m.npy --out o.npy
same 'attend: NaN behind the mask stays there' o.npy wanted_first.npy
npy k4.npy '<f4' '(4, 1)' "$zero$zero$zero$zero"
npy v4.npy '<f4' '(4, 1)' "$one$three$four$four"
npy m.npy '|b1' '(2,)' '\001\001'
expect 'attend --mask (short)' 0 'kernel' "$attnbench" attend -q q.npy -k k4.npy -v v4.npy -m m.npy --out o.npy
same 'attend: a short mask hides the rest' o.npy wanted_average.npy
# Two heads, values 1 2 | 3 4 by head and key, in Fortran order, in [S][H][D]
fortran=True
npy v3.npy '<f4' '(2, 2, 1)' "$one$two$three$four" # [s][h]: (0,0)=1 (1,0)=2 (0,1)=3 (1,1)=4
fortran=False
npy q3.npy '<f4' '(2, 2, 1)' "$zero$zero$zero$zero"
npy wanted_heads.npy '<f4' '(2, 2, 1)' "$one$three\\000\\000\\300\\077\\000\\000\\140\\100" # 1 3, then 1.5 3.5
expect 'attend --layout bshd' 0 'Hq 2' "$attnbench" attend -q q3.npy -k q3.npy -v v3.npy --causal --layout bshd --out o.npy
same 'attend: heads, Fortran order' o.npy wanted_heads.npy
expect 'attend --layout bsdh is the same' 0 'Hq 2' "$attnbench" attend -q q3.npy -k q3.npy -v v3.npy --causal --layout bsdh --out o2.npy
same 'attend: both spellings' o2.npy wanted_heads.npy
expect 'attend writes to a pipe' 0 'kernel' sh -c "'$attnbench' attend -q q.npy -k k.npy -v v.npy --out /dev/stdout | cat >piped.npy"
same 'attend: what came through the pipe' piped.npy wanted_average.npy

# --- attend: everything that can be wrong with the files. The output must stay as it was.
printf 'precious' >kept
rm -f o.npy
refuse() { # refuse NAME PATTERN OPTIONS...
  name=$1 pattern=$2
  shift 2
  rm -f o.npy
  expect "$name" 2 "$pattern" attend "$@" --out o.npy
  absent "$name: nothing left" o.npy
}
refuse 'missing file' 'absent.npy: cannot be opened: No such file' --q absent.npy
refuse 'a folder' 'is a folder' --q .
: >bad.npy
refuse 'empty file' 'bad.npy: .*not a NumPy' --q bad.npy
printf 'hello, this is text' >bad.npy
refuse 'not a .npy file' 'bad.npy: .*not a NumPy' --k bad.npy
head -c 40 q.npy >bad.npy
refuse 'truncated header' 'bad.npy: header is truncated' --v bad.npy
head -c 9 q.npy >bad.npy
refuse 'truncated preamble' 'bad.npy: header is truncated' --v bad.npy
head -c 135 q.npy >bad.npy
refuse 'truncated data' 'bad.npy: data is truncated.* 8 bytes.* 7' --q bad.npy
{ cat q.npy; printf 'x'; } >bad.npy
refuse 'too much data' 'bad.npy: has more data' --q bad.npy
npy bad.npy '>f4' '(2, 1)' "$zero$zero"
refuse 'big-endian' "bad.npy: descr '>f4' is big-endian" --q bad.npy
npy bad.npy '|O' '(2, 1)' "$zero$zero"
refuse 'Python objects' "bad.npy: descr .*objects" --q bad.npy
npy bad.npy '<f8' '(2, 1)' "$zero$zero$zero$zero"
refuse 'wrong type' 'bad.npy: descr is float64' --q bad.npy
npy bad.npy '<f2' '(2, 1)' "$zero"
refuse 'mixed types' 'bad.npy: descr is float16, that of q is float32' --k bad.npy
npy bad.npy '<f4' '(2,)' "$zero$zero"
refuse 'one dimension' 'bad.npy: shape \[2\] has 1 dimensions' --q bad.npy
npy bad.npy '<f4' '(1, 2, 1)' "$zero$zero"
refuse 'different numbers of dimensions' 'bad.npy: shape \[1\]\[2\]\[1\] has 3 dimensions' --k bad.npy
npy bad.npy '<f4' '(2, 2)' "$zero$zero$zero$zero"
refuse 'different Dqk' 'bad.npy: Dqk = 2 differs from Dqk = 1 of q' --k bad.npy
refuse 'different Skv' 'v.npy: Skv = 2 differs from Skv = 4 of k' --k k4.npy
npy bad.npy '<f4' '(4611686018427387904, 4)' ''
refuse 'shape beyond 64 bits' 'bad.npy: shape' --q bad.npy
npy bad.npy '<f4' '(100000000000, 1)' ''
refuse 'shape beyond the file' 'bad.npy: data is truncated' --q bad.npy
npy bad.npy '|b1' '(3, 2)' '\001\001\001\001\001\001'
refuse 'mask that does not fit' 'bad.npy: mask \[3\]\[2\]: dimension 0 must be Sq = 2' --mask bad.npy
npy bad.npy '|b1' '(2, 3)' '\001\001\001\001\001\001'
refuse 'mask too long' 'bad.npy: mask .*exceeds Skv = 2' --mask bad.npy
npy bad.npy '|b1' '(2, 1)' '\001\001'
refuse 'mask of ambiguous length' 'bad.npy: the last dimension is 1' --mask bad.npy
npy bad.npy '<i8' '(2, 2)' "$zero$zero$zero$zero$zero$zero$zero$zero"
refuse 'mask of a wrong type' 'bad.npy: .*not int64' --mask bad.npy
refuse 'nonsense ISA' 'valid' --isa nonsense
refuse 'nonsense kernel' 'valid' --kernel nonsense
refuse 'threads' 'threads=0' --threads 0
refuse 'scale' 'scale=nan' --scale nan
refuse 'layout' 'layout=sbhd' --layout sbhd
expect 'no --out' 2 '--out FILE is missing' attend
expect 'unwritable folder' 2 'no/such/o.npy: cannot be written' attend --out no/such/o.npy
expect 'output is an input' 2 'is an input as well' attend --out v.npy
expect 'output twice' 2 'both --out and --lse' attend --out o.npy --lse o.npy
if [ -e /dev/full ]; then expect 'full device' 2 '/dev/full: .*No space left' attend --out /dev/full; fi
expect 'a file size limit keeps the old file' 2 'kept: could not be written completely' \
  sh -c "ulimit -f 0; '$attnbench' attend -q q.npy -k k.npy -v v.npy --out kept"
if [ "$(cat kept)" = precious ] && [ -z "$(ls -A | grep '^\.attnbench')" ]; then ok 'the old file is whole'; else not_ok 'the old file is whole'; fi

# --- conformance: cases with answers known by hand
mkdir onnx
case_of() { # case_of NAME ATTRIBUTES INPUTS OUTPUTS: entries as NAME:SLOT:DTYPE:SHAPE
  mkdir -p "onnx/$1"
  entries() {
    first=1
    for e in $1; do
      [ -n "$first" ] || printf ', '
      first=
      printf '%s\n' "$e" | awk -F: '{ printf "{\"name\": \"%s\", \"slot\": %s, \"dtype\": \"%s\", \"shape\": [%s]}", $1, $2, $3, $4 }'
    done
  }
  printf '{"op": "Attention", "opset": [["", 23]], "attributes": {%s}, "inputs": [%s], "outputs": [%s]}\n' "$2" "$(entries "$3")" \
    "$(entries "$4")" >"onnx/$1/case.json"
}
qkv='Q:0:float32:1,1,2,1 K:1:float32:1,1,2,1 V:2:float32:1,1,2,1'
tensors() { # tensors NAME Y: zeros for Q and K, 1 3 for V
  npy "onnx/$1/in_Q.npy" '<f4' '(1, 1, 2, 1)' "$zero$zero"
  npy "onnx/$1/in_K.npy" '<f4' '(1, 1, 2, 1)' "$zero$zero"
  npy "onnx/$1/in_V.npy" '<f4' '(1, 1, 2, 1)' "$one$three"
  npy "onnx/$1/out_Y.npy" '<f4' '(1, 1, 2, 1)' "$2"
}
expect 'conformance: no case' 2 'no folder in it holds a case.json' "$attnbench" conformance onnx
expect 'conformance: no folder' 2 'No such file' "$attnbench" conformance nowhere
expect 'conformance: no argument' 2 'DIR is missing' "$attnbench" conformance
case_of plain '' "$qkv" 'Y:0:float32:1,1,2,1'
tensors plain "$two$two"
case_of causal '"is_causal": 1' "$qkv" 'Y:0:float32:1,1,2,1'
tensors causal "$one$two"
past='past_key:4:float32:1,1,1,1 past_value:5:float32:1,1,1,1'
case_of past '"is_causal": 1' "$qkv $past" 'Y:0:float32:1,1,2,1 present_value:2:float32:1,1,3,1'
tensors past "$two\\000\\000\\040\\100" # (3 + 1) / 2 and (3 + 1 + 3.5) / 3 = 2.5
npy onnx/past/in_V.npy '<f4' '(1, 1, 2, 1)' "$one\\000\\000\\140\\100"
npy onnx/past/in_past_key.npy '<f4' '(1, 1, 1, 1)' "$zero"
npy onnx/past/in_past_value.npy '<f4' '(1, 1, 1, 1)' "$three"
npy onnx/past/out_present_value.npy '<f4' '(1, 1, 3, 1)' "$three$one\\000\\000\\140\\100"
case_of lengths '' "$qkv nonpad_kv_seqlen:6:int64:1" 'Y:0:float32:1,1,2,1'
tensors lengths "$one$one"
npy onnx/lengths/in_nonpad_kv_seqlen.npy '<i8' '(1,)' '\001\000\000\000\000\000\000\000'
case_of capped '"softcap": 2.0, "left_window_size": 1' "$qkv" 'Y:0:float32:1,1,2,1'
tensors capped "$two$two"
case_of future '"no_such_attribute": 1' "$qkv" 'Y:0:float32:1,1,2,1'
tensors future "$two$two"
expect 'conformance: passes' 0 '^4 passed, 0 failed, [12] skipped$' "$attnbench" conformance onnx --filter '^(plain|causal|past|lengths|future)$'
expect 'conformance: names what is unknown' 0 '^skip  future: attribute no_such_attribute' "$attnbench" conformance onnx -f future
expect 'conformance: names each kernel' 0 '^pass  plain \(fwd_f32_scalar\)' env ATTN_ISA=scalar "$attnbench" conformance onnx -f plain
expect 'conformance: one case' 0 '^1 passed, 0 failed, 0 skipped$' "$attnbench" conformance onnx/causal
expect 'conformance --verbose' 0 'present_value: error 0$' "$attnbench" conformance --verbose onnx/past
expect 'conformance: nothing matches' 2 'no case matches' "$attnbench" conformance onnx --filter nothing
expect 'conformance: bad expression' 2 'not a regular expression' "$attnbench" conformance onnx --filter '('
expect 'conformance: ATTN_ISA=nonsense' 2 'valid' env ATTN_ISA=nonsense "$attnbench" conformance onnx
case_of wrong '' "$qkv" 'Y:0:float32:1,1,2,1'
tensors wrong "$two$three"
expect 'conformance: a wrong result' 3 '^fail  wrong .*Y: error 0.333' "$attnbench" conformance onnx
rm -r onnx/wrong
broken() { # broken NAME PATTERN: case "broken" was made; it must be an error, exit code 2
  expect "conformance: $1" 2 "^error broken: .*$2" "$attnbench" conformance onnx -f broken
  rm -rf onnx/broken
}
fresh() { case_of broken "${1:-}" "${2:-$qkv}" 'Y:0:float32:1,1,2,1'; tensors broken "$two$two"; }
fresh; head -c 50 onnx/plain/case.json >onnx/broken/case.json; broken 'truncated case.json' 'case.json: line 1'
fresh; echo '[1, 2]' >onnx/broken/case.json; broken 'case.json of another kind' 'op is not'
fresh; rm onnx/broken/in_K.npy; broken 'missing tensor' 'in_K.npy: cannot be opened'
fresh; head -c 20 onnx/plain/in_K.npy >onnx/broken/in_K.npy; broken 'truncated tensor' 'in_K.npy: header is truncated'
fresh; npy onnx/broken/in_K.npy '<f4' '(1, 1, 1, 2)' "$zero$zero"; broken 'shape differs from case.json' 'in_K.npy: is float32 \[1\]\[1\]\[1\]\[2\]'
fresh '"scale": "x"'; broken 'attribute of a wrong type' 'attributes.scale'
fresh '"q_num_heads": 0'; broken 'attribute out of range' 'attributes.q_num_heads'
fresh '"q_num_heads": 3'; broken 'heads contradict the shape' '3 heads'
fresh '' 'Q:0:float32:1,1,2,1 ../../x:1:float32:1,1,2,1'; broken 'a name that leads elsewhere' 'inputs\[1\].name'
fresh '' "$qkv nonpad:9:int64:1"; broken 'slot out of range' 'inputs\[3\].slot'
fresh '' "$qkv Q:0:float32:1,1,2,1"; broken 'slot twice' 'there twice'
fresh '' 'Q:0:float32:1,1,2,1'; broken 'absent K and V' 'absent'
fresh '' "$qkv nonpad_kv_seqlen:6:int64:1"
npy onnx/broken/in_nonpad_kv_seqlen.npy '<i8' '(1,)' '\003\000\000\000\000\000\000\000'
broken 'a length beyond Skv' 'nonpad_kv_seqlen\[0\] = 3'

finish
