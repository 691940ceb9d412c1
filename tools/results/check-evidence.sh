#!/bin/sh
# Holds docs/evidence.list against what it speaks of: dispatch/kernels.h (every kernel has one line, no line is about
# another), docs/results.md (what is called measured stands there), docs/modelled.md and the README's table of kernels (the
# same words). Last line: N passed, M failed.
# usage: check-evidence.sh [folder of the sources]
cd "${1:-.}" || exit 2
passed=0
failed=0
report() { # status text
  if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAIL  $2"; fi
}
list=$(sed '/^#/d; /^[[:space:]]*$/d' docs/evidence.list) || exit 2
kernels=$(sed -n 's/^ *KERNEL(\([a-z0-9_]*\)).*/\1/p' dispatch/kernels.h)
[ -n "$kernels" ] || { echo "dispatch/kernels.h: no KERNEL(...) line found" >&2; exit 2; }
awk -f tools/results/evidence.awk docs/evidence.list > /dev/null
report $? "docs/evidence.list: a line has another form"
for kernel in $kernels; do
  lines=$(echo "$list" | awk -v kernel="$kernel" '$1 == kernel' | wc -l)
  [ "$lines" = 1 ]
  report $? "$kernel: $lines lines in docs/evidence.list, want 1"
done
while read -r kernel executed costed where; do
  echo "$kernels" | grep -qx "$kernel"
  report $? "$kernel: in docs/evidence.list, not in dispatch/kernels.h"
  case $costed in
  measured) grep -qsw "$kernel" docs/results.md; report $? "$kernel: measured ($where), but not in docs/results.md" ;;
  modelled) grep -qsw "$kernel" docs/modelled.md; report $? "$kernel: modelled, but not in docs/modelled.md" ;;
  esac
  row=$(grep "^|.*\`$kernel\`" README.md)
  case $executed in
  native) word='run on hardware' ;;
  emulated) word='run under emulation' ;;
  *) word='never run' ;;
  esac
  case $costed in never) speed='| never measured' ;; *) speed="| $costed" ;; esac
  echo "$row" | grep -q "$word.*$speed"
  report $? "$kernel: the README's row does not say '$word' and '${speed#| }': ${row:-there is none}"
  [ "$costed" != measured ] || [ "$executed" = native ]
  report $? "$kernel: measured, but executed is $executed"
done << END
$list
END
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
