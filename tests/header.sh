#!/bin/sh
# The public header compiles alone, as C11 and as C++, with warnings as errors; the shared library exports every function
# that the header declares and nothing that does not begin with attn_. usage: header.sh LIBATTN.SO
set -u
library=${1:?usage: header.sh LIBATTN.SO}
passed=0 failed=0
tell() { # STATUS DESCRIPTION
  if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAIL: $2"; fi
}
use='
#include "attn.h"
#include "attn.h"
int main(void) { attn_desc d = {}; attn_options o = {}; attn_args a = {}; (void)d; (void)o; (void)a; return attn_version()[0] == 0; }'
for standard in c99 c11 c17; do
  printf '#include "attn.h"\n' | ${CC:-cc} -std=$standard -pedantic-errors -Wall -Wextra -Werror -Wshadow -Iinclude -x c -fsyntax-only -
  tell $? "attn.h as $standard"
done
for standard in c++11 c++17 c++20; do
  printf '%s\n' "$use" | ${CXX:-c++} -std=$standard -pedantic-errors -Wall -Wextra -Werror -Wno-missing-field-initializers -Iinclude -x c++ -fsyntax-only -
  tell $? "attn.h as $standard"
done
exported=$(nm -D --defined-only "$library" | awk '{ print $NF }')
[ -n "$exported" ]
tell $? "$library exports something"
for symbol in $exported; do
  case $symbol in attn_*) tell 0 ;; *) tell 1 "$library exports $symbol" ;; esac
done
declared=$(sed -n -e 's|/[*].*||' -e 's/^ATTN_API.*[ *]\(attn_[a-z_]*\)(.*/\1/p' include/attn.h)
[ "$(echo "$declared" | wc -l)" -ge 11 ]
tell $? "the functions of attn.h were found"
for name in $declared; do
  echo "$exported" | grep -qx "$name"
  tell $? "$library exports $name"
done
for symbol in $exported; do
  echo "$declared" | grep -qx "$symbol"
  tell $? "$symbol is exported but not in attn.h"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
