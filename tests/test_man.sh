#!/bin/sh
# The man page and the completions know what the build knows: made anew here from the build, whatever lies in build/man.
#
# usage: BUILD=build sh tests/test_man.sh
set -u
build=${BUILD:-build}
attnbench=$build/attnbench
[ -x "$attnbench" ] || { echo "no $attnbench: make it first"; echo "0 passed, 1 failed"; exit 1; }
unset ATTN_ISA ATTN_KERNEL
work=$(mktemp -d) || exit 4
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
check() { # check NAME COMMAND...
  name=$1
  shift
  if said=$("$@" 2>&1); then passed=$((passed + 1)); echo "ok - $name"
  else failed=$((failed + 1)); echo "not ok - $name"; printf '%s\n' "$said" | sed 's/^/#   /'; fi
}

tools/describe.sh "$attnbench" >"$work/described"
awk -v version=0 -v date=0 -f tools/man.awk "$work/described" >"$work/man"
for shell in bash zsh fish; do awk -v shell=$shell -f tools/completion.awk "$work/described" >"$work/$shell"; done

# Every long option that --help shows of every command stands on the man page and in each completion.
all_options() {
  for command in $("$attnbench" --help | awk '/^Environment/ { exit } /^  [a-z]/ { print $1 }'); do
    for option in $("$attnbench" "$command" --help | awk '/^ +(-.(, | [A-Z]+, ))?--[a-z]/' | grep -o -- '--[a-z][a-z-]*' | sort -u); do
      grep -q -- "^O	$command	.*	$option	" "$work/described" || { "$attnbench" "$command" --help | grep -Eq "^ +(-.(, | [A-Z]+, ))?$option" && echo "described: $command $option"; }
    done
  done
  awk -F'\t' '$1 == "O" { print $4 }' "$work/described" | sort -u | while read -r option; do
    grep -Fq -- "$(printf '%s' "$option" | sed 's/-/\\-/g')" "$work/man" || echo "man: $option"
    for shell in bash zsh; do grep -Fq -- "$option" "$work/$shell" || echo "$shell: $option"; done
    grep -Fq -- "-l ${option#--}" "$work/fish" || echo "fish: $option"
  done
}
missing=$(all_options)
check 'every option of --help is known' test -z "$missing"
[ -z "$missing" ] || printf '%s\n' "$missing" | sed 's/^/#   /'

# What TAB gives: complete WORDS..., the last one being typed.
cat >"$work/complete" <<'END'
source "$1"
shift
compopt() { :; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_attnbench
printf '%s\n' "${COMPREPLY[@]}"
END
completes() { # completes WANTED WORDS...
  wanted=$1
  shift
  given=$(bash "$work/complete" "$work/bash" "$@" | tr '\n' ' ')
  case " $given" in *" $wanted "*) ;; *) echo "no '$wanted' in '$given'"; return 1 ;; esac
}
if command -v bash >/dev/null; then
  check 'bash: commands' completes doctor attnbench ''
  check 'bash: part of a command' completes compare attnbench comp
  check 'bash: options' completes --preset= attnbench run --pre
  check 'bash: options of another command' completes --group-by= attnbench compare --g
  check 'bash: kernels' completes fwd_f32_scalar attnbench run --kernel fwd_f32_s
  check 'bash: kernels after =' completes fwd_f32_scalar attnbench run --kernel = fwd_f32_s
  check 'bash: a second kernel' completes x,fwd_f32_scalar attnbench run -k x,fwd_f32_s
  check 'bash: presets' completes quick attnbench ab --preset q
  check 'bash: help of a command' completes doctor attnbench help d
else
  skipped=$((skipped + 9))
  echo 'skipped: no bash'
fi
check 'bash: syntax' bash -n "$work/bash"
for shell in zsh fish; do
  if command -v $shell >/dev/null; then check "$shell: syntax" $shell -n "$work/$shell"
  else skipped=$((skipped + 1)); echo "skipped: no $shell to check the syntax with"; fi
done
if command -v groff >/dev/null; then
  groff -man -Tascii -ww -z "$work/man" >"$work/warnings" 2>&1
  check 'man page: no warning of groff' test ! -s "$work/warnings"
  [ ! -s "$work/warnings" ] || head -n 5 "$work/warnings"
else skipped=$((skipped + 1)); echo 'skipped: no groff to format the man page with'; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
