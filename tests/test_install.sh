#!/bin/sh
# make install into an empty folder: what is there works through pkg-config, and make uninstall leaves nothing behind.
# BUILD, CC, MAKE as in the Makefile. Ends with "N passed, N failed"; exit 1 if any failed.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build} CC=${CC:-cc} MAKE=${MAKE:-make}
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
root=$dir/root prefix=/opt/attn
make_it() { $MAKE --no-print-directory BUILD="$BUILD" CC="$CC" DESTDIR="$root" PREFIX=$prefix "$1"; }

check 'make install' make_it install
for file in bin/attnbench include/attn.h lib/libattn.a lib/libattn.so lib/libattn.so.0 lib/pkgconfig/libattn.pc \
  share/man/man1/attnbench.1 share/bash-completion/completions/attnbench share/zsh/site-functions/_attnbench \
  share/fish/vendor_completions.d/attnbench.fish; do
  check "$file is installed" test -s "$root$prefix/$file"
done
check 'the soname is libattn.so.0' sh -c "objdump -p '$root$prefix/lib/libattn.so' | grep -q 'SONAME *libattn.so.0$'"
# Versions and the like of the linker aside, the library exports nothing but its API.
nm -D --defined-only "$root$prefix/lib/libattn.so" | awk '$2 != "A" { print $3 }' | grep -v '^attn_' > "$dir/foreign"
check 'libattn.so exports attn_ symbols only' diff /dev/null "$dir/foreign"

export PKG_CONFIG_PATH="$root$prefix/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
check 'pkg-config knows the version' pkg-config --exact-version=0.1.0 libattn
check 'a program builds against libattn.so' $CC -std=c11 examples/readme.c $(pkg-config --cflags --libs libattn) -o "$dir/shared"
check 'and runs' env LD_LIBRARY_PATH="$root$prefix/lib" "$dir/shared"
rm -f "$root$prefix"/lib/libattn.so* # -lattn is the archive now
check 'a program builds against libattn.a' $CC -std=c11 examples/readme.c $(pkg-config --cflags --libs --static libattn) \
  -o "$dir/static"
check 'and runs' "$dir/static"
check 'the man page is that of this build' grep -qF -- '\-\-preset' "$root$prefix/share/man/man1/attnbench.1"
check 'the installed attnbench runs' "$root$prefix/bin/attnbench" --version

check 'make install again' make_it install
: > "$root$prefix/lib/other.so"
check 'make uninstall' make_it uninstall
find "$root" -not -type d | sort > "$dir/left"
echo "$root$prefix/lib/other.so" > "$dir/expected"
check 'uninstall removes what install wrote, nothing else' diff "$dir/expected" "$dir/left"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
