# docs/evidence.list -> a C array. Ends with status 1 and the number of a line that it does not understand.
BEGIN { print "static const struct evidence evidence_list[] = {" }
/^#/ || NF == 0 { next }
NF < 4 || $2 !~ /^(native|emulated|never)$/ || $3 !~ /^(measured|modelled|never)$/ || /["\\]/ || seen[$1]++ {
  want = "kernel native|emulated|never measured|modelled|never where, each kernel once"
  printf "%s:%d: want: %s\n", FILENAME, FNR, want > "/dev/stderr"
  failed = 1
  exit 1
}
{
  where = $0
  for (i = 1; i < 4; i++) sub(/^[^ \t]+[ \t]+/, "", where)
  printf "    {\"%s\", \"%s\", \"%s\", \"%s\"},\n", $1, $2, $3, where
}
END { if (!failed) print "};" }
