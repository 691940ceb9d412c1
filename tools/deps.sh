#!/bin/sh
# Installs the Debian packages that are missing for the named groups of tools/deps.list. Silent when nothing is missing.
set -eu

list=$(dirname "$0")/deps.list
groups() { echo $(awk '$1 !~ /^#/ && NF { print $1 }' "$list" | sort -u); }

usage() {
  cat <<END
Usage: tools/deps.sh [--check | --print] GROUP...
Installs what is missing of the Debian packages of each GROUP: as root, or through sudo.

  --check   install nothing: exit 2 and print the command if a package is missing
  --print   print all packages of the groups, one a line, missing or not
  --help    this text

Groups: $(groups)
Exit code: 0 nothing is missing any more; 2 something is; the command that mends it stands on stderr.
Examples:
  tools/deps.sh build test
  apt-get install \$(tools/deps.sh --print build)
END
}

mode=install
case ${1-} in
--help | -h) usage; exit 0 ;;
--check) mode=check; shift ;;
--print) mode=print; shift ;;
-*) echo "tools/deps.sh: unknown option $1; see --help" >&2; exit 2 ;;
esac
[ $# -gt 0 ] || { echo "tools/deps.sh: name a group: $(groups)" >&2; exit 2; }

packages=
for group in "$@"; do
  of_group=$(awk -v g="$group" '$1 == g { print $2 }' "$list")
  [ -n "$of_group" ] || { echo "tools/deps.sh: no group $group; there are: $(groups)" >&2; exit 2; }
  packages="$packages $of_group"
done
packages=$(printf '%s\n' $packages | sort -u)
if [ $mode = print ]; then
  printf '%s\n' $packages
  exit 0
fi

if ! command -v dpkg-query > /dev/null; then
  echo "tools/deps.sh: no dpkg here, so nothing is checked; needed are the equivalents of Debian's" $packages >&2
  exit 0
fi

missing=
for package in $packages; do
  case " $(dpkg-query -W -f '${db:Status-Status} ' "$package" 2> /dev/null)" in
  *\ installed\ *) ;;
  *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  root=
elif command -v sudo > /dev/null && { sudo -n true 2> /dev/null || [ -t 0 ]; }; then
  root=sudo
else
  root=none
fi
prefix=$([ "$(id -u)" = 0 ] || echo 'sudo ')
command="${prefix}apt-get update && ${prefix}apt-get install -y --no-install-recommends$missing"
if [ $mode = check ] || [ "$root" = none ]; then
  echo "Missing Debian packages. Install them with" >&2
  echo "  $command" >&2
  exit 2
fi

echo "Installing$missing" >&2
# A foreign source that fails to update must not stop the installation.
$root apt-get update -q >&2 || echo "tools/deps.sh: apt-get update failed; trying with the lists that are there" >&2
if ! $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2; then
  echo "tools/deps.sh: the installation failed (see above). The command was" >&2
  echo "  $command" >&2
  exit 2
fi
