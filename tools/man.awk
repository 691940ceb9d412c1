# The man page from tools/describe.sh. Variables: version, date.
function roff(text) {
  gsub(/\\/, "\\e", text); gsub(/-/, "\\-", text)
  if (text ~ /^[.']/) text = "\\&" text
  return text
}
BEGIN {
  FS = "\t"
  printf ".TH ATTNBENCH 1 \"%s\" \"attnbench %s\" \"User Commands\"\n", date, version
  print ".SH NAME\nattnbench \\- fast attention on CPUs: measured, compared, guarded"
  print ".SH SYNOPSIS\n.B attnbench\n.I COMMAND\n.RI [ OPTION ...]"
}
$1 == "C" {
  if ($3 != group) { if (group == "") print ".SH COMMANDS"; group = $3; printf ".SS %s\n", roff(group) }
  printf ".TP\n.B %s\n%s\n", roff($2), roff($4)
}
$1 == "O" || $1 == "T" { if ($2 != command) { command = $2; printf ".SH ATTNBENCH %s\n", roff(toupper(command)); verbatim = 0 } }
$1 == "O" {
  if (verbatim) { print ".fi"; verbatim = 0 }
  print ".TP"
  if ($3 != "-") printf "\\fB%s\\fR, ", roff($3)
  printf "\\fB%s\\fR", roff($4)
  if ($5 != "-") printf "=\\fI%s\\fR", roff($5)
  printf "\n%s\n", roff($6)
}
$1 == "T" {
  if ($3 ~ /^usage: /) { printf ".B %s\n.PP\n", roff(substr($3, 8)); next }
  if ($3 == "") { if (verbatim) print ".fi"; verbatim = 0; print ".PP"; next }
  if ($3 ~ /^ / && !verbatim) { print ".nf"; verbatim = 1 }
  if ($3 !~ /^ / && verbatim) { print ".fi"; verbatim = 0 }
  print roff($3)
}
$1 == "G" {
  if (verbatim) { print ".fi"; verbatim = 0 }
  if ($2 ~ /^[A-Z]/) { printf ".SH %s\n.nf\n", toupper($2); open = 1 }
  else if ($2 == "") { if (open) print ".fi"; open = 0 }
  else print roff($2)
}
END { if (open) print ".fi" }
