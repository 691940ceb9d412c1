#!/bin/bash
# Does the kernel harness find faults? See usage below and docs/testing.md.
set -euo pipefail

usage() {
  cat <<'END'
Usage: mutants.sh [--dir DIR] [--emulate] [--table] [MUTANT]...
Copies the tree, plants the faults of tests/mutants/list one by one (or those named), builds, runs the kernel harness
with its emulated grid, and says which check caught each.

  --dir DIR       where the copy goes (default build/mutants)
  --emulate       AVX-512 in Bochs even if this CPU has it
  --table         the result as a Markdown table (of docs/testing.md)
  --help          this text

NEON faults run under qemu-aarch64-static. The copy without a fault must pass first.
The last line is "N passed, N failed", with ", N skipped" for those that can be neither run nor emulated here.
Exit code: 0 every fault was caught, 2 usage or a fault that no longer fits the source, 3 a fault survived.
END
}

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=build/mutants emulate= table= only=" "
while [ $# -gt 0 ]; do
  case $1 in
  --dir) dir=$2; shift 2 ;;
  --emulate) emulate=1; shift ;;
  --table) table=1; shift ;;
  --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) only+="$1 "; shift ;;
  esac
done
grep -q -w avx512f /proc/cpuinfo || emulate=1
compiler=${CROSS_ARM:-aarch64-linux-gnu-}gcc
fail() { echo "mutants.sh: $*" >&2; exit 2; }

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
tree=$dir/tree
rm -rf "$tree" "$dir/log"
mkdir -p "$tree" "$dir/log"
# New times: nothing that an earlier run compiled, perhaps with a fault, is taken for up to date.
for part in Makefile mk include kernels dispatch tests; do cp -r "$root/$part" "$tree/"; done
# Kernels that no fault is run with only take time to compile.
for name in $(sed -n 's/^KERNEL(\(.*\))$/\1/p' "$tree/dispatch/kernels.h"); do
  case $name in *_scalar) continue ;; esac
  grep -q "^kernel $name$" "$here/list" && continue
  sed -i "/^KERNEL($name)$/d" "$tree/dispatch/kernels.h"
  find "$tree/kernels" -name "$name.c" -delete
done
if [ "$only" = " " ]; then
  for name in $(awk '$1 == "mutant" { print $2 }' "$here/list"); do only+="$name "; done
fi

# build ISA; run ISA KERNEL
build() {
  local make=(make -s -C "$tree" -j"$(nproc)" --no-print-directory HWLOC=0)
  case $1 in
  avx* | amx) "${make[@]}" BUILD="$dir/x86" CC=gcc "$dir/x86/tests/check_kernels_static" ;;
  neon*) "${make[@]}" BUILD="$dir/arm" CC="$compiler" AR="${compiler%gcc}ar" "$dir/arm/tests/check_kernels_static" ;;
  esac > "$dir/log/build" 2>&1 || { cat "$dir/log/build" >&2; return 1; }
}
run() {
  local options=(--kernel "$2" --grid emulated --no-exp2 --seed 1)
  case $1 in
  avx* | amx)
    if [ -n "$emulate" ] && [ "$1" = avx512 ]; then
      "$root/tests/emulate/run.sh" --dir "$dir/emulate" --timeout 600 -- "$dir/x86/tests/check_kernels_static" "${options[@]}"
    else
      timeout 300 "$dir/x86/tests/check_kernels_static" "${options[@]}"
    fi ;;
  neon*) timeout 600 "${QEMU_ARM:-qemu-aarch64-static}" -cpu max "$dir/arm/tests/check_kernels_static" "${options[@]}" ;;
  esac
}

declare -A unable=()
[ -z "$emulate" ] || unable[avx512]=$("$root/tests/emulate/run.sh" --prepare --dir "$dir/emulate" 2>&1 | tail -n 1)
grep -q -w avx512_bf16 /proc/cpuinfo || unable[avx512bf16]="this CPU has no AVX512-BF16, nor has an emulator here"
grep -q -w amx_bf16 /proc/cpuinfo || unable[amx]="this CPU has no AMX, nor has an emulator here"
command -v "${QEMU_ARM:-qemu-aarch64-static}" > /dev/null || unable[neon]="qemu-aarch64-static is not installed (tools/deps.sh arm)"
command -v "$compiler" > /dev/null || unable[neon]="$compiler is not installed (tools/deps.sh arm)"
[ -z "${unable[neon]-}" ] || unable[neonbf16]=${unable[neon]}

passed=0 failed=0 skipped=0
declare -A sound=()
[ -z "$table" ] || printf '| fault | kernel | caught by |\n|---|---|---|\n'

# plant: one mutant, from $mutant $kernel $fault $file $old $new
plant() {
  local isa=${kernel##*_} source text rest status=0 caught count
  [[ $only = *" $mutant "* ]] || return 0
  [ "$isa" != dotprod ] || isa=neon
  [[ $isa = avx* || $isa = amx || $isa = neon* ]] || fail "$mutant: $kernel is not run here, only kernels of AVX2, AVX-512, AMX and NEON are"
  only=${only/ $mutant / }
  source=$tree/$file
  text=$(cat "$source"; echo .)
  text=${text%.}
  rest=${text/"$old"/}
  [ "$rest" != "$text" ] || fail "$mutant: '$old' does not stand in $file any more"
  [ "${rest/"$old"/}" = "$rest" ] || fail "$mutant: '$old' stands in $file more than once"
  if [ -n "${unable[$isa]-}" ]; then
    echo "skipped $mutant: ${unable[$isa]}"
    skipped=$((skipped + 1))
    return 0
  fi
  if [ -z "${sound[$kernel]-}" ]; then
    build "$isa" || fail "the tree does not build"
    run "$isa" "$kernel" > "$dir/log/$kernel" 2>&1 || { tail -n 20 "$dir/log/$kernel" >&2; fail "$kernel fails without a fault"; }
    sound[$kernel]=1
  fi
  cp -p "$source" "$dir/original"
  printf '%s' "${text/"$old"/"$new"}" > "$source"
  build "$isa" || fail "$mutant does not build"
  run "$isa" "$kernel" > "$dir/log/$mutant" 2>&1 || status=$?
  cp "$dir/original" "$source" # with a new time, so that make compiles it again
  caught=$(sed -n "s/^FAIL $kernel: //p" "$dir/log/$mutant" | head -n 1)
  count=$(sed -n 's/^[0-9]* passed, \([0-9]*\) failed.*/\1/p' "$dir/log/$mutant" | tail -n 1)
  if [ $status = 0 ]; then
    echo "SURVIVED $mutant ($kernel): $fault"
    failed=$((failed + 1))
    return 0
  fi
  [ -n "$caught" ] || caught="exit status $status: $(tail -n 1 "$dir/log/$mutant")"
  passed=$((passed + 1))
  if [ -n "$table" ]; then
    printf '| %s: %s | `%s` | `%s` |\n' "$mutant" "$fault" "$kernel" "$caught"
  else
    printf '%s (%s): %s\n  caught by: %s%s\n' "$mutant" "$kernel" "$fault" "$caught" "${count:+, and $((count - 1)) more}"
  fi
}

mutant=
while read -r key value; do
  case $key in
  mutant | kernel | fault | file | old) declare "$key=$value" ;;
  new)
    new=$value
    plant
    ;;
  '' | '#') ;;
  *) fail "list: unknown word '$key'" ;;
  esac
done < "$here/list"
[ "${only// /}" = "" ] || fail "no such mutant:$only"
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] || exit 3
