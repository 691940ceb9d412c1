#!/bin/sh
# Every planted fault of tests/mutants/list still fits: its text stands exactly once in its file, its kernel exists. Cheap, while
# `make mutants` takes minutes. Ends with "N passed, N failed"; exit 1 if any failed.
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 mutant= kernel= file=
while read -r key value; do
  case $key in
  mutant) mutant=$value ;;
  kernel) kernel=$value ;;
  file) file=$value ;;
  old)
    count=$(grep -oF -e "$value" "$file" | wc -l)
    if [ "$count" -eq 1 ] && grep -q "^KERNEL($kernel)$" dispatch/kernels.h; then passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "FAIL $mutant: its text stands $count times in $file (want 1), or there is no kernel $kernel"
    fi ;;
  esac
done < tests/mutants/list
echo "$passed passed, $failed failed"
[ $passed -gt 0 ] && [ $failed = 0 ]
