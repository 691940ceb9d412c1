#!/bin/sh
# What a reviewer should not have to look for: headers that do not stand alone, leftovers, paths of one machine.
# Prints each finding as file:line and exits 1 if there is any.
set -u
found=0

# $1: what is wrong; $2: extended regular expression; the rest: git pathspecs.
forbid() {
  what=$1 pattern=$2
  shift 2
  if hits=$(git grep -nIE -e "$pattern" -- "$@" ':!tools/hygiene.sh'); then
    printf '%s\n' "$hits" | sed "s|$| <- $what|"
    found=1
  fi
}

forbid 'unfinished work' '\b(TODO|FIXME|XXX|HACK)\b' '*.c' '*.h' '*.cc' '*.sh' '*.py' '*.mk' Makefile
forbid 'dead code' '^[[:space:]]*#[[:space:]]*if[[:space:]]+0' '*.c' '*.h' '*.cc'
forbid 'a path of one machine' '(^|[^A-Za-z0-9_./])/(work|home|root|Users)/[A-Za-z0-9_.]' .
forbid 'a tab' "$(printf '\t')" '*.c' '*.h' '*.cc' '*.py'
forbid 'white space at the end of the line' '[[:space:]]+$' '*.c' '*.h' '*.cc' '*.sh' '*.py' '*.mk' Makefile
forbid 'a kernel flag that names a CPU' '-march=(native|[a-z]+(lake|ver[0-9]|well))' Makefile mk
forbid 'a kernel includes the dispatcher' '#include "[^"]*dispatch/' kernels
forbid 'a kernel allocates, locks or prints' '\b(malloc|calloc|realloc|free|pthread_[a-z_]+|printf|fprintf)\(' kernels

for file in $(git ls-files '*utils.[ch]'); do
  echo "$file: name the one idea of the file <- utils"
  found=1
done

# A header compiles alone. Those of kernels/template are loop bodies: they are included after the verbs they are written in,
# so they are compiled by every kernel instead; the two lists are included with KERNEL and COMMAND defined. An ISA's verbs need the flags of that ISA.
check_header() {
  file=$1
  shift
  if ! errors=$(printf '#include "%s"\n' "$file" | "$@" -I. -Iinclude ${CPPFLAGS-} -fsyntax-only - 2>&1); then
    printf '%s: does not compile alone\n%s\n' "$file" "$errors"
    found=1
  fi
}
machine=$(${CC:-cc} -dumpmachine)
c="${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -x c"
for file in $(git ls-files '*.h'); do
  case $file in
  dispatch/kernels.h | tools/commands.h | kernels/template/* | *_body.h) continue ;;
  kernels/arm/*) case $machine in aarch64*) check_header "$file" $c ;; esac ;;
  kernels/x86/*_amx.h) case $machine in x86_64*)
    check_header "$file" $c -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile -mamx-bf16 ;; esac ;;
  kernels/x86/*avx512bf16*) case $machine in x86_64*)
    check_header "$file" $c -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 ;; esac ;;
  kernels/x86/*avx512*) case $machine in x86_64*)
    check_header "$file" $c -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl ;; esac ;;
  kernels/x86/*) case $machine in x86_64*) check_header "$file" $c -mavx2 -mfma -mf16c ;; esac ;;
  *) check_header "$file" $c ;;
  esac
done
check_header include/attn.h ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -x c
check_header include/attn.h ${CXX:-g++} -std=c++11 -pedantic -Wall -Wextra -Werror -x c++

exit $found
