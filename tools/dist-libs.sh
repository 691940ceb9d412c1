#!/bin/sh
# Makes the static libraries that a distributable attnbench links and Debian does not ship: Google Benchmark from Debian's
# source package, jansson and SQLite from Debian's packages of the other architecture. Nothing is installed; no root is needed.
#
# usage: dist-libs.sh DIR MACHINE CXX AR      writes DIR/include and DIR/lib; does nothing if they are complete (the 2: with SQLite)
#
# Exit status: 0 ok, 4 something could not be had.
set -eu
if [ $# -ne 4 ]; then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd) machine=$2 cxx=$3 ar=$4
[ ! -e "$dir/complete-2" ] || exit 0
fail() {
  echo "dist-libs.sh: $*" >&2
  exit 4
}
case $machine in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) fail "machine '$machine' is neither x86_64 nor aarch64" ;;
esac
command -v apt-get > /dev/null || fail "needs apt-get (Debian)"
command -v dpkg-source > /dev/null || fail "needs dpkg-source (package dpkg-dev)"
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$suite" ] || fail "/etc/os-release names no VERSION_CODENAME"

# apt with folders of its own: the package lists of this system stay as they are.
work=$dir/work
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$dir/lib" "$dir/include"
cat > "$work/debian.sources" << END
Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
apt() {
  apt-get -qq -o APT::Architectures::="$(dpkg --print-architecture)" -o APT::Architectures::="$arch" \
    -o APT::Sandbox::User= -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" \
    -o Dir::Etc::sourcelist="$work/debian.sources" -o Dir::Etc::sourceparts=- "$@"
}
cd "$work"
apt update || fail "no package lists for $suite, $arch"
apt source benchmark > /dev/null || fail "no source package 'benchmark'"
for package in libjansson-dev libsqlite3-dev; do
  apt download "$package:$arch" || fail "no package '$package:$arch'"
done

dpkg-deb -x libjansson-dev_*.deb jansson
cp jansson/usr/include/jansson*.h jansson/usr/include/*/jansson*.h "$dir/include/" 2> /dev/null || true
cp "jansson/usr/lib/$machine-linux-gnu/libjansson.a" "$dir/lib/"
[ -e "$dir/include/jansson.h" ] && [ -e "$dir/include/jansson_config.h" ] || fail "libjansson-dev has other paths now"

dpkg-deb -x libsqlite3-dev_*.deb sqlite3
cp sqlite3/usr/include/sqlite3.h "$dir/include/" && cp "sqlite3/usr/lib/$machine-linux-gnu/libsqlite3.a" "$dir/lib/" ||
  fail "libsqlite3-dev has other paths now"

cp -r benchmark-*/include/benchmark "$dir/include/"
for source in benchmark-*/src/*.cc; do
  case $source in *_main.cc) continue ;; esac
  "$cxx" -std=c++17 -O2 -DNDEBUG -DBENCHMARK_STATIC_DEFINE -DHAVE_POSIX_REGEX -DHAVE_STEADY_CLOCK \
    -I"$dir/include" -c -o "$(basename "$source" .cc).o" "$source" || fail "$source does not compile with $cxx"
done
"$ar" rcs "$dir/lib/libbenchmark.a" ./*.o
cd "$dir"
rm -rf "$work"
touch "$dir/complete-2"
