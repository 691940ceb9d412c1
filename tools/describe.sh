#!/bin/sh
# What a build's own --help says, in lines of fields between tabs, for the man page and the completions:
#   C name group summary         a command
#   O command short long arg doc an option of it; short and arg may be "-"
#   T command text               a line of its description and notes
#   K name, P name               a kernel, a preset
#   G text                       the end of `attnbench --help`: environment and exit codes
#
# usage: tools/describe.sh build/attnbench
set -eu
attnbench=$1
tab=$(printf '\t')
export ARGP_HELP_FMT=rmargin=5000 COLUMNS=5000
help=$("$attnbench" --help)
commands=$(printf '%s\n' "$help" | awk '/^Environment/ { exit } /^  [a-z]/ { print $1 }')
printf '%s\n' "$help" | awk -v OFS="$tab" '
  /^Environment/ { exit }
  /^[A-Z]/ { group = $0 }
  /^  [a-z]/ { name = $1; sub(/^ +[a-z]+ +/, ""); print "C", name, group, $0 }'
for command in $commands; do
  "$attnbench" "$command" --help 2>/dev/null | awk -v OFS="$tab" -v command="$command" '
    function show() { if (long != "") print "O", command, short, long, arg, doc; long = "" }
    NR == 1 { sub(/^[Uu]sage: /, ""); print "T", command, "usage: " $0; next }
    /^ +(-.(, | [A-Z]+, ))?--[a-z]/ && !notes {
      show()
      line = $0; sub(/^ +/, "", line)
      short = line ~ /^-[^-]/ ? substr(line, 1, 2) : "-"
      sub(/^-[^-]( [A-Z]+)?, /, "", line)
      split(line, part, /  +/)
      long = part[1]; arg = "-"
      if (match(long, /[= \[]/)) { arg = substr(long, RSTART); long = substr(long, 1, RSTART - 1)
        if (arg ~ /^\[/) sub(/\]$/, "", arg); sub(/^[= \[]+/, "", arg) }
      doc = substr(line, length(part[1]) + 1); sub(/^ +/, "", doc)
      next
    }
    long != "" && /^ {20,}/ { line = $0; sub(/^ +/, "", line); doc = doc (doc == "" ? "" : " ") line; next }
    /^Mandatory or optional arguments/ { show(); notes = 1; next }
    /^Report bugs/ { next }
    { show(); if (!/^options:/) print "T", command, $0 }
    END { show() }'
done
printf '%s\n' "$help" | awk -v OFS="$tab" '/^Environment/ { tail = 1 } tail { print "G", $0 }'
"$attnbench" info --json | sed -n "s/^ *\"name\": \"\\([a-z0-9_]*\\)\".*/K$tab\\1/p"
"$attnbench" run --help | awk -v OFS="$tab" '/^Presets:/ { on = 1; next } on && /^  [a-z]/ { print "P", $1; next } on { exit }'
