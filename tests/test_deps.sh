#!/bin/sh
# tools/deps.sh on machines that it is not on: dpkg-query, apt-get, id and sudo are stand-ins that record what they are asked.
# Ends with "N passed, N failed"; exit 1 if any failed.
set -u
cd "$(dirname "$0")/.." || exit 1
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT || exit 1
passed=0 failed=0
verdict() { # $1: what; $2: 0 if right
  if [ "$2" = 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL $1: exit code $code"
    sed 's/^/  /' "$dir/out" "$dir/log"
  fi
}
tool() { # $1: name; body on stdin
  { echo '#!/bin/sh'; cat; } > "$dir/bin/$1"
  chmod +x "$dir/bin/$1"
}
run() {
  : > "$dir/log"
  PATH="$dir/bin" LOG="$dir/log" /bin/sh tools/deps.sh "$@" > "$dir/out" 2>&1 < /dev/null
  code=$?
}

# A PATH of our own: of the real tools only those that the script needs.
mkdir "$dir/bin"
for name in sh awk sort dirname cat env; do ln -s "$(command -v $name)" "$dir/bin/$name"; done

tool dpkg-query << 'END'
for package; do :; done
case " ${INSTALLED-} " in *" $package "*) echo 'installed ' ;; *" all "*) echo 'installed ' ;;
*) case $package in libhwloc-dev) echo 'not-installed ' ;; *) exit 1 ;; esac ;; esac
END
tool apt-get << 'END'
echo "apt-get $*" >> "$LOG"
case $1 in update) exit "${UPDATE_CODE-0}" ;; install) exit "${INSTALL_CODE-0}" ;; esac
END
tool id << 'END'
echo "${USER_ID-0}"
END

INSTALLED=all run build test
test $code = 0 && ! [ -s "$dir/out" ] && ! [ -s "$dir/log" ]
verdict 'nothing is missing: silent, nothing is called' $?

INSTALLED='gcc g++ make' run build
test $code = 0 && grep -q '^apt-get install .*libhwloc-dev' "$dir/log" && ! grep -q 'install.* gcc' "$dir/log"
verdict 'root: installs what is missing and nothing else' $?

UPDATE_CODE=100 run build
test $code = 0 && grep -q '^apt-get install' "$dir/log"
verdict 'a package source that fails does not stop the installation' $?

INSTALL_CODE=100 run build
test $code = 2 && grep -q 'apt-get install -y' "$dir/out"
verdict 'a failed installation: exit 2 and the command' $?

USER_ID=1000 run build
test $code = 2 && grep -q '^  sudo apt-get update && sudo apt-get install .*libhwloc-dev' "$dir/out" && ! [ -s "$dir/log" ]
verdict 'neither root nor sudo: the one command, exit 2, nothing is called' $?

tool sudo << 'END'
[ "$1" = -n ] && exit "${SUDO_N-1}"
echo "sudo" >> "$LOG"
exec "$@"
END
USER_ID=1000 run build
test $code = 2 && ! [ -s "$dir/log" ]
verdict 'sudo wants a password and there is no terminal: exit 2, nothing is called' $?
SUDO_N=0 USER_ID=1000 run build
test $code = 0 && grep -q '^sudo' "$dir/log" && grep -q '^apt-get install' "$dir/log"
verdict 'sudo without a password: installs through it' $?

run --check build
test $code = 2 && grep -q '^  apt-get update && apt-get install' "$dir/out" && ! [ -s "$dir/log" ]
verdict '--check installs nothing' $?

run --print build
test $code = 0 && grep -qx libhwloc-dev "$dir/out"
verdict '--print lists packages' $?

run nonsense
test $code = 2 && grep -q 'no group nonsense; there are: .*build' "$dir/out"
verdict 'an unknown group: exit 2 and the valid ones' $?
run
test $code = 2
verdict 'no group: exit 2' $?
run --nonsense
test $code = 2 && grep -q 'unknown option --nonsense' "$dir/out"
verdict 'an unknown option: exit 2' $?

rm "$dir/bin/dpkg-query"
run build
test $code = 0 && grep -q 'no dpkg here.*libhwloc-dev' "$dir/out" && ! [ -s "$dir/log" ]
verdict 'not Debian: says what is needed and goes on' $?

echo "$passed passed, $failed failed"
[ $failed = 0 ]
