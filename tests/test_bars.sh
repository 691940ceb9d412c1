#!/bin/sh
# attnbench run --preset roof, --preset decode and --scaling: what they select and how they end. Figures are not judged here.
#
# usage: BUILD=build sh tests/test_bars.sh
set -u
attnbench=$(cd "${BUILD:-build}" && pwd)/attnbench
[ -x "$attnbench" ] || { echo "no $attnbench: make it first"; echo "0 passed, 1 failed"; exit 1; }
unset ATTN_ISA ATTN_KERNEL ATTN_NUM_THREADS ATTN_DEBUG ATTN_TUNING ATTN_QUIRKS
passed=0 failed=0
check() { # check NAME CONDITION...: the condition is a command
  name=$1
  shift
  if "$@" >/dev/null 2>&1; then passed=$((passed + 1)); echo "ok - $name"; else failed=$((failed + 1)); echo "not ok - $name: $*"; fi
}
says() { printf '%s\n' "$text" | grep -Eq -- "$1"; }
says_not() { ! says "$1"; }
count() { [ "$(printf '%s\n' "$text" | grep -Ec -- "$1")" -eq "$2" ]; }

text=$("$attnbench" run --preset roof --threads 1 --list) && list=ok || list=failed
if printf '%s\n' "$text" | grep -q '/fwd_f32_av\|/fwd_f32_neon'; then
  check 'roof lists its cases' [ "$list" = ok ]
  check 'roof compares head sizes' says '/f32/.*Sq:2048/.*/Dqk:256/Dv:256/none/T:1'
  check 'roof has causal cases' says 'Sq:4096/.*/causal/'
  check 'roof has 16-bit cases' says '/bf16/'
  check 'naive only at S=512' says_not '/naive_.*Sq:2048'
  check 'naive at S=512' says '/naive_.*Sq:512'
  isa=$(printf '%s\n' "$text" | sed -n 's,^attn/naive_f32_\([a-z0-9]*\)/.*,\1,p' | head -n 1)
  text=$("$attnbench" run --preset roof --isa "$isa" --list)
  check 'one ISA takes no more kernels' says_not '/(naive|fwd_f32_autovec)_.*Sq:2048'
  text=$("$attnbench" run --preset roof --isa "$isa" --threads 1 --filter 'Sq:512/.*/Dqk:64/' --repetitions 1 \
    --min-time 0.001 2>&1)
  check 'exit code 0 whatever was reached' [ $? -eq 0 ]
  check 'a measured bar has a verdict' says "^$isa .*D=64 S=512.* > 1\.00 +[0-9]+\.[0-9]+  (met|not met)\$"
  check 'others say that they were not measured' says "^$isa .*D=128 S=2048, one core.* >= 0\.90 +-  not measured\$"
  check 'efficiency needs two cores' says "^$isa .*all cores.* >= 0\.95 +-  not measured\$"
  text=$("$attnbench" run --preset roof --kernel "fwd_f32_$isa" --scaling --filter 'Sq:512/.*/Dqk:64/' --repetitions 1 \
    --min-time 0.001 2>&1)
  check 'scaling ends well' [ $? -eq 0 ]
  check 'one thread is its own measure' says "fwd_f32_$isa +1 +[0-9.]+ +1\.00 +1\.00\$"
  check 'bars follow in a scaling run as well' says '^Bars: '
  text=$("$attnbench" run --preset decode --isa "$isa" --threads 1 --filter 'Hq:8/Hkv:8/.*/kv:' --repetitions 1 --min-time 0.001 2>&1)
  check 'decode ends well' [ $? -eq 0 ]
  check 'a bar of decoding has a verdict' says "^$isa .*f16 cache, group 1, one core.* >= 0\.85 +[0-9]+\.[0-9]+  (met|not met)\$"
  check 'int8 is held against f16' says "^$isa .*int8, group 1, one core.* >= 1\.50 +[0-9]+\.[0-9]+  (met|not met)\$"
  check 'decoding on one thread says nothing of all cores' says "^$isa .*f16 cache, group 1, all cores.* >= 0\.85 +-  not measured\$"
  text=$("$attnbench" run --preset small --kernel "fwd_f32_$isa" --threads 1 --filter 'Sq:16/' --repetitions 1 --min-time 0.001 2>&1)
  check 'other presets have no bars' says_not '^Bars: '
  small="attn/decode_f32_$isa/f32/B:1/Hq:4/Hkv:1/Sq:1/Skv:64/Dqk:16/Dv:16/none"
  text=$("$attnbench" run --case "$small/T:1" --repetitions 1 --min-time 0.001 --json /dev/stdout)
  check 'so few keys are held against the caches' says '"read_roof_from": "caches"'
  check 'and the table says so' says '^c: the last-level cache holds all'
  text=$("$attnbench" run --case "$small/cache:cold/T:1" --repetitions 1 --min-time 0.001 --json /dev/stdout)
  check 'too few to be cold say so' says 'cache:cold takes more than'
  cold="attn/decode_f32_$isa/f32/B:1/Hq:4/Hkv:1/Sq:1/Skv:8192/Dqk:64/Dv:64/none/cache:cold"
  text=$("$attnbench" run --case "$cold/T:1" --repetitions 1 --min-time 0.001 --json /dev/stdout)
  check 'cold ones are held against memory' says '"read_roof_from": "memory"'
  check 'and the table does not mark them' says_not '^c: '
else
  echo "# no hand-written kernel runs here"
fi
if command -v taskset >/dev/null && first=$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/'); then
  text=$(taskset -c "$first" "$attnbench" run --preset quick --kernel fwd_f32_scalar --filter Sq:512 --scaling --list)
  check 'one core: one thread and two' count '^attn/' 2
  check 'oversubscribed once' count '/T:2$' 1
fi
text=$("$attnbench" run --scaling --threads 2 2>&1)
check '--scaling with --threads is refused' [ $? -eq 2 ]
check 'and says what to leave out' says 'leave --threads out'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
