#!/bin/sh
# The masks of a case's name: each is computed, checked against the oracle and compared with the plain case of its run.
# Ends with "N passed, N failed"; exit 1 if any failed.
set -u
cd "$(dirname "$0")/.." || exit 1
attnbench=${BUILD:-build}/attnbench
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
name() { echo "attn/fwd_f32_scalar/f32/B:1/Hq:2/Hkv:1/Sq:150/Skv:170/Dqk:16/Dv:16/$1/T:1"; }

masks='none causal bool additive window20 causal-window20 softcap causal-softcap alibi causal-alibi sinks causal-sinks
  bool-random bool50 blocks50 additive-f16'
set --
for mask in $masks; do set -- "$@" --case "$(name "$mask")"; done
check 'every mask runs and is right' "$attnbench" run "$@" --repetitions 1 --min-time 0.001 --csv "$dir/csv" --json "$dir/json"
check 'a row for each' [ "$(grep -c ',timed,' "$dir/csv")" = 16 ]
for mask in $masks; do check "$mask keeps its name" grep -qF "/$mask/T:1" "$dir/csv"; done
# column N of the CSV is x_plain: no field of these has a comma within
column=$(head -n 1 "$dir/csv" | tr , '\n' | grep -n '^x_plain$' | cut -d: -f1)
share=$((column + 1))
check 'plain is compared with nothing' [ -z "$(grep /none/ "$dir/csv" | cut -d, -f"$column")" ]
check 'all others are compared with plain' [ "$(cut -d, -f"$column" "$dir/csv" | grep -c '^[0-9.e-]\{1,\}$')" = 15 ]
# 20 keys up to the query (fewer at the left edge: none here, the first query stands at key 20) of 170
check 'share of a window' awk -F, -v p="$column" -v s="$share" '/causal-window20/ { exit !($p / $s > 0.117 && $p / $s < 0.118) }' "$dir/csv"
check 'JSON tells it' grep -q '"x_plain": ' "$dir/json"
check 'the table has no such column without a plain case' sh -c \
  '"$1" run --case "$2" --repetitions 1 --min-time 0.001 > "$3/table" && ! grep -q "x plain" "$3/table"' run "$attnbench" "$(name alibi)" "$dir"
for wrong in window window0 window-3 window1x causal-window99999999 windows softcaps '' bool51 blocks additive-f32; do
  "$attnbench" run --case "$(name "$wrong")" > "$dir/stdout" 2> "$dir/err"
  code=$?
  check "mask '$wrong' is refused" [ $code = 2 ]
  check "mask '$wrong': the message names it" grep -q "mask '$wrong'" "$dir/err"
done

# ALiBi puts most keys far below the row's reference, whose products would be denormal: 8 times the time of plain, on some CPUs.
kernel=fwd_f32_avx2
[ "$(uname -m)" != aarch64 ] || kernel=fwd_f32_neon
long() { echo "attn/$kernel/f32/B:1/Hq:4/Hkv:4/Sq:2048/Skv:2048/Dqk:64/Dv:64/$1/T:1"; }
check 'ALiBi over 2048 keys runs' "$attnbench" run --case "$(long none)" --case "$(long alibi)" --repetitions 3 --times-only --csv "$dir/csv"
check 'ALiBi takes no multiple of the time of plain' awk -F, -v p="$column" '/alibi/ { if ($p < 3) fast = 1; else print $p " times as long" }
  END { exit !fast }' "$dir/csv"

# Whole layers: across inputs of different widths, grouped heads, with and without output projection, on itself.
layer() { echo "attn/fwd_f32_scalar/f32/B:2/Hq:4/Hkv:2/Sq:$1/Skv:33/Dqk:16/Dv:8/causal-window20/$2/T:2"; }
set -- "$(layer 15 Wq:24/Wkv:40/Wo:20)" "$(layer 15 Wq:24/Wkv:40/Wo:0)" "$(layer 33 Wq:24/Wkv:24/Wo:24)"
check 'layers run and are right' "$attnbench" run --case "$1" --case "$2" --case "$3" --repetitions 1 --min-time 0.001 \
  --csv "$dir/csv" --json "$dir/json" --markdown "$dir/md"
for name; do check "$name keeps its name" grep -qF "\"$name\"" "$dir/csv"; done
check 'all are timed' [ "$(grep -c ',timed,' "$dir/csv")" = 3 ]
check 'JSON tells the kernel of the projections' grep -q '"kernels": "linear_f32_scalar, fwd_f32_scalar"' "$dir/json"
check 'the label tells the widths' grep -q 'layer 24,40>20 ' "$dir/md"
check 'the legend tells what is counted' grep -q '^Of layers: ' "$dir/md"
"$attnbench" run --case "$(layer 15 Wq:24/Wo:20)" > "$dir/stdout" 2> "$dir/err"
check 'half of the widths are refused' [ $? = 2 ]
check 'and the message says so' grep -q "'Wo:20' stands where Wkv:<number> belongs" "$dir/err"

# Where K and V lie.
lies() { echo "attn/decode_$1_scalar/$2/B:2/Hq:4/Hkv:2/Sq:1/Skv:170/Dqk:16/Dv:16/none${3-}/T:1"; }
check 'K and V in caches of every type, hot and cold' "$attnbench" run --case "$(lies f32 f32 /kv:f32)" --case "$(lies f16 f16 /kv:f16)" \
  --case "$(lies bf16 f32 /kv:bf16)" --case "$(lies i8 f32 /kv:i8)" --case "$(lies f32 f32 /cache:hot)" \
  --repetitions 1 --min-time 0.001 --csv "$dir/csv" --json "$dir/json"
check 'are right and keep their names' [ "$(grep ',timed,' "$dir/csv" | grep -c '/kv:[a-z0-9]*/T:1\|/cache:hot/T:1')" = 5 ]
check 'the export has them' sh -c '"$1" export "$2" --format benchstat | grep -q "/mask=none/kv=i8-1"' export "$attnbench" "$dir/json"
check 'cold: copies take turns' "$attnbench" run --case "$(lies i8 f32 /kv:i8/cache:cold | sed s/Skv:170/Skv:20000/)" \
  --case "$(lies f32 f32 /cache:cold | sed s/Skv:170/Skv:20000/)" --repetitions 1 --min-time 0.001 --csv "$dir/csv"
check 'and are right' [ "$(grep -c '/cache:cold/T:1.*,timed,' "$dir/csv")" = 2 ]
# Sequences of different lengths: one behind the other, and in caches; only decoding, and with prompts.
seqs() { echo "attn/$1_scalar/$2/B:5/Hq:4/Hkv:2/Sq:$3/Skv:170/Dqk:16/Dv:8/causal/seqs:$4/T:2"; }
check 'sequences of different lengths' "$attnbench" run --case "$(seqs fwd_f32 f32 40 40x40,7x60,3*1x20-170)" \
  --case "$(seqs decode_i8 f32 40 40x40,7x60,3*1x20-170/kv:i8)" --case "$(seqs decode_f16 f16 1 5*1x20-170/kv:f16)" \
  --case "$(seqs fwd_bf16 bf16 40 4*10-40x20-170,1x1)" --repetitions 1 --min-time 0.001 --csv "$dir/csv" --json "$dir/json"
check 'are right and keep their names' [ "$(grep ',timed,' "$dir/csv" | grep -c '/seqs:[-0-9x*,]*\(/kv:[a-z0-9]*\)\{0,1\}/T:2')" = 4 ]
check 'the export has their lengths' sh -c '"$1" export "$2" --format benchstat | grep -qF "/seqs=5*1x20-170/kv=f16-"' export "$attnbench" "$dir/json"
check 'JSON counts the tokens of all' grep -q '"tokens_per_s": ' "$dir/json"
for wrong in 'fwd_f32 f32 40 40x40,7x60,3*1x20-171' 'fwd_f32 f32 41 40x40,7x60,3*1x20-170' 'fwd_f32 f32 40 40x40,3*1x20-170'; do
  # shellcheck disable=SC2086
  "$attnbench" run --case "$(seqs $wrong)" > "$dir/stdout" 2> "$dir/err"
  check "'$wrong' is refused" [ $? = 2 ]
  check "'$wrong': the message says what it must be" grep -q 'seqs: [A-Z][a-z]*: [0-9]* is not [0-9]*, the ' "$dir/err"
done
for wrong in 'i8 f16 /kv:i8' 'f16 bf16 /kv:f16' 'f32 f32 /kv:f64' 'f32 f32 /cache:warm' 'f32 f32 /cache:hot/kv:f32' 'i8 f32 ' \
  'i8 i8 ' 'f32 f32 /kv:f32/Wq:16/Wkv:16/Wo:16'; do
  # shellcheck disable=SC2086
  "$attnbench" run --case "$(lies $wrong)" > "$dir/stdout" 2> "$dir/err"
  check "'$wrong' is refused" [ $? = 2 ]
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
