#!/bin/bash
# The dispatch matrix: on each emulated CPU, which kernel is chosen for each operation, data type and ATTN_ISA, and does it
# run?
set -euo pipefail

usage() {
  cat <<'END'
Usage: dispatch.sh [--x86 PROGRAM] [--arm PROGRAM] [--dir DIR] [--jobs N] [MODEL]...
Runs the static PROGRAM (check_dispatch) on every CPU model of dispatch.table, or on those named, and compares.

  --x86 PROGRAM   built for x86-64, run in Bochs by run.sh
  --arm PROGRAM   built for AArch64, run by qemu-aarch64-static
  --dir DIR       where the guest's kernel image and temporary files go (default build/emulate)
  --jobs N        models at a time (default: the number of CPUs, at most 4)
  --help          this text

Variables: QEMU_ARM (the emulator), CROSS_ARM (prefix of the cross compiler, without which
the Arm program cannot have been built).

The last line is "N passed, N failed" with ", N skipped" if a model could not be emulated here.
Exit code: 0 nothing failed, 2 usage, 3 something failed.
END
}

here=$(cd "$(dirname "$0")" && pwd)
table=$here/dispatch.table dir=build/emulate jobs=$(nproc)
[ "$jobs" -le 4 ] || jobs=4
qemu=${QEMU_ARM:-qemu-aarch64-static}
declare -A program=()
while [ $# -gt 0 ]; do
  case $1 in
  --x86) program[x86]=$2; shift 2 ;;
  --arm) program[arm]=$2; shift 2 ;;
  --dir) dir=$2; shift 2 ;;
  --jobs) jobs=$2; shift 2 ;;
  --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) break ;;
  esac
done
only=" $* "
[ ${#program[@]} -gt 0 ] || { usage >&2; exit 2; }
mkdir -p "$dir"
. "$here/../parts.sh"
work=$parts_dir

# One "ARCH MODEL OP DTYPE LIMIT KERNEL" a line.
awk '!/^#/ && NF {
  n = split($2, model, "|")
  for (m = 1; m <= n; m++)
    for (f = 5; f <= NF; f++) { split($f, pair, "="); print $1, model[m], $3, $4, pair[1], pair[2] }
}' "$table" > "$work/expected"

# limits ARCH MODEL
limits() { awk -v a="$1" -v m="$2" '$1 == a && $2 == m && !seen[$5]++ { print $5 }' "$work/expected"; }

# emulate ARCH MODEL: the program once with each limit.
emulate() {
  local limit status=0 model=${2%+*} words=() options=()
  if [ "$1" = x86 ]; then
    case $2 in
    *+no-xsave) options=(--hide 154) ;;
    *+no-zmm) options=(--hide 304) ;;
    *+*) echo "FAILED dispatch.sh knows no variant ${2#*+}"; return 1 ;;
    esac
    for limit in $(limits "$1" "$2"); do
      words+=(--)
      [ "$limit" = any ] || words+=("ATTN_ISA=$limit")
      words+=("${program[x86]}")
    done
    "$here/run.sh" --dir "$dir" --timeout 300 --model "$model" "${options[@]}" "${words[@]}" || status=$?
  else
    for limit in $(limits "$1" "$2"); do
      if [ "$limit" = any ]; then
        timeout 300 env -u ATTN_ISA "$qemu" -cpu "$2" "${program[arm]}" || status=$?
      else
        timeout 300 env ATTN_ISA="$limit" "$qemu" -cpu "$2" "${program[arm]}" || status=$?
      fi
    done
  fi
  return $status
}

# check ARCH MODEL: one line "ok ..." or "FAILED ..." a check.
check() {
  local status=0 runs
  emulate "$1" "$2" > "$work/$1.$2.output" 2> "$work/$1.$2.errors" || status=$?
  runs=$(limits "$1" "$2" | wc -l)
  awk -v arch="$1" -v model="$2" -v status=$status -v runs="$runs" '
    FILENAME == ARGV[1] { if ($1 == arch && $2 == model) want[$3 " " $4 " " $5] = $6; next }
    $1 == "chosen" { got[$2 " " $3 " " $4] = $5 }
    $1 == "demanded" { demanded++ }
    $1 == "FAILED" { print "FAILED " model ": " substr($0, 8) }
    $1 == "complete" { complete++ }
    END {
      for (k in want) {
        if (!(k in got)) print "FAILED " model ": " k ": expected " want[k] ", but the program did not get that far"
        else if (got[k] == want[k]) print "ok " model ": " k ": " want[k]
        else print "FAILED " model ": " k ": expected " want[k] ", chosen " got[k]
      }
      for (k in got) if (!(k in want)) print "FAILED " model ": " k ": " got[k] " chosen, but dispatch.table has no row for it"
      if (status == 0 && complete == runs && demanded > 0)
        print "ok " model ": " demanded " runs of kernels by name agree with the oracle, no illegal instruction"
      else print "FAILED " model ": exit status " status ", " complete + 0 " of " runs " runs complete"
    }' "$work/expected" "$work/$1.$2.output" | sort > "$work/$1.$2.part"
  ! grep -q ^FAILED "$work/$1.$2.part" || cat "$work/$1.$2.errors" >> "$work/$1.$2.part"
  mv "$work/$1.$2.part" "$work/$1.$2.result"
}

# Why it cannot be emulated here; nothing if it can, whatever the preparation had to say.
reason_x86() {
  local said
  said=$("$here/run.sh" --prepare --dir "$dir" 2>&1 > /dev/null) || echo "${said:-the preparation failed}"
}
reason_arm() {
  local tool
  for tool in "${CROSS_ARM:-aarch64-linux-gnu-}gcc" "$qemu"; do
    command -v "$tool" > /dev/null || { echo "$tool is not installed (tools/deps.sh arm)"; return; }
  done
}

models=()
while read -r arch model; do
  [ -n "${program[$arch]-}" ] || continue
  [ "$only" = "  " ] || [[ $only = *" $model "* ]] || continue
  models+=("$arch $model")
done < <(awk '!seen[$1 " " $2]++ { print $1, $2 }' "$work/expected")
[ ${#models[@]} -gt 0 ] || { echo "dispatch.sh: no such model in dispatch.table:$only" >&2; exit 2; }

declare -A reason=()
for arch in "${!program[@]}"; do reason[$arch]=$("reason_$arch"); done

passed=0 failed=0 skipped=0 shown=0
show() { # the results that are there, in the table's order
  local arch model name
  while [ $shown -lt ${#models[@]} ]; do
    read -r arch model <<< "${models[$shown]}"
    name=$work/$arch.$model.result
    [ -e "$name" ] || return 0
    grep -v '^ok ' "$name" || true
    grep -q -e ^FAILED -e ^skipped "$name" || echo "ok $model: $(grep -c '^ok ' "$name") checks"
    passed=$((passed + $(grep -c '^ok ' "$name" || true)))
    failed=$((failed + $(grep -c '^FAILED ' "$name" || true)))
    skipped=$((skipped + $(grep -c '^skipped ' "$name" || true)))
    shown=$((shown + 1))
  done
}
for entry in "${models[@]}"; do
  read -r arch model <<< "$entry"
  if [ -n "${reason[$arch]}" ]; then
    echo "skipped $model: ${reason[$arch]}" > "$work/$arch.$model.result"
    continue
  fi
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
    wait -n || true
    show
  done
  check "$arch" "$model" &
done
wait
show
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] || exit 3
