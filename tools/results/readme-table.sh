#!/bin/sh
# Puts the table of a run into README.md, between its two markers: the scalar reference and the streaming kernels.
set -eu
case ${1-} in
'' | --help | -h)
  echo "Usage: tools/results/readme-table.sh build/results/<run>.md"
  echo "Run it with the Markdown file that \`make run\` wrote on a quiet machine; the JSON file must stand beside it."
  [ $# -gt 0 ] && exit 0
  exit 2
  ;;
esac
cd "$(dirname "$0")/../.."
table=$1 json=${1%.md}.json
for file in "$table" "$json" README.md; do
  [ -r "$file" ] || { echo "tools/results/readme-table.sh: $file cannot be read" >&2; exit 2; }
done
field() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$json" | head -n 1; }
new=$(mktemp README.md.XXXXXX)
trap 'rm -f "$new"' EXIT
awk -v table="$table" -v machine="$(field cpu_model), $(field num_cpus) CPUs, commit $(field commit), $(field date)" '
  /^<!-- table: end -->/ { inside = 0 }
  !inside { print }
  /^<!-- table: begin -->/ {
    inside = found = 1
    while ((getline line < table) > 0)
      if (line ~ /^\|/ && (line !~ /^\|[^|]*\| *(naive|fwd_[a-z0-9]+_autovec)_/)) { print line; rows++ }
    print "\nMeasured: " machine "."
  }
  END { exit !(found && rows > 2) }' README.md > "$new" ||
  { echo "tools/results/readme-table.sh: README.md has no markers, or $table no table" >&2; exit 2; }
chmod 644 "$new"
mv "$new" README.md
trap - EXIT
