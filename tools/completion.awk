# Completions from tools/describe.sh. Variable: shell (bash, zsh, fish). Kernels and presets are those of the build.
function quoted(text) { gsub(/'/, "'\\''", text); return "'" text "'" }
function words_for(long) {
  if (long == "--kernel") return "kernels"
  if (long == "--preset") return "presets"
  if (long == "--isa") return "isas"
  return ""
}
BEGIN { FS = "\t" }
$1 == "C" { commands = commands " " $2; summary[$2] = $4; order[++count] = $2 }
$1 == "O" && $4 != "" {
  n[$2]++; long[$2, n[$2]] = $4; short[$2, n[$2]] = $3; arg[$2, n[$2]] = $5; doc[$2, n[$2]] = $6
  options[$2] = options[$2] " " $4 ($5 == "-" ? "" : "=")
}
$1 == "K" { kernels = kernels " " $2 }
$1 == "P" { presets = presets " " $2 }
END {
  isas = " scalar avx2 avx512 avx512bf16 amx neon neonbf16"
  if (shell == "bash") bash(); else if (shell == "zsh") zsh(); else fish()
}
function bash(  i) {
  print "# bash completion for attnbench"
  print "_attnbench()\n{"
  print "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} option= value="
  print "  COMPREPLY=()"
  print "  # \"--kernel=x\" comes as three words: = is a word break"
  print "  if [[ $current == '=' ]]; then option=$previous value="
  print "  elif [[ $previous == '=' ]]; then option=${COMP_WORDS[COMP_CWORD-2]} value=$current"
  print "  elif [[ $previous == -* ]]; then option=$previous value=$current; fi"
  print "  local last=${value##*,} before="
  print "  [[ $value == *,* ]] && before=${value%,*},"
  print "  case $option in"
  printf "  --kernel|-k) COMPREPLY=($(compgen -P \"$before\" -W %s -- \"$last\")); return ;;\n", quoted(substr(kernels, 2))
  printf "  --preset|-p) COMPREPLY=($(compgen -W %s -- \"$value\")); return ;;\n", quoted(substr(presets, 2))
  printf "  --isa) COMPREPLY=($(compgen -P \"$before\" -W %s -- \"$last\")); return ;;\n", quoted(substr(isas, 2))
  print "  esac"
  print "  if [[ $COMP_CWORD -eq 1 ]]; then"
  printf "    COMPREPLY=($(compgen -W %s -- \"$current\"))\n    return\n  fi\n", quoted("help --help --version" commands)
  print "  if [[ $current == -* ]]; then\n    case ${COMP_WORDS[1]} in"
  for (i = 1; i <= count; i++)
    printf "    %s) COMPREPLY=($(compgen -W %s -- \"$current\")) ;;\n", order[i], quoted(substr(options[order[i]], 2))
  print "    esac"
  print "    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace"
  print "    return\n  fi"
  printf "  if [[ ${COMP_WORDS[1]} == help ]]; then COMPREPLY=($(compgen -W %s -- \"$current\")); return; fi\n", quoted(substr(commands, 2))
  print "  COMPREPLY=($(compgen -f -- \"${value:-$current}\"))\n  compopt -o filenames\n}"
  print "complete -F _attnbench attnbench"
}
function zsh(  i, j, c, text, what, list) {
  print "#compdef attnbench\n# zsh completion for attnbench"
  print "_attnbench() {\n  local -a commands"
  print "  commands=("
  for (i = 1; i <= count; i++) printf "    %s\n", quoted(order[i] ":" summary[order[i]])
  print "  )"
  print "  if (( CURRENT == 2 )); then _describe command commands; return; fi"
  print "  local command=$words[2]\n  shift words; (( CURRENT-- ))\n  case $command in"
  for (i = 1; i <= count; i++) {
    c = order[i]
    printf "  %s) _arguments -s", c
    for (j = 1; j <= n[c]; j++) {
      text = doc[c, j]; gsub(/\\/, "\\\\", text); gsub(/:/, "\\:", text); gsub(/\[/, "(", text); gsub(/\]/, ")", text)
      what = ""
      if (arg[c, j] != "-") {
        list = words_for(long[c, j])
        list = list == "kernels" ? kernels : list == "presets" ? presets : list == "isas" ? isas : ""
        what = ":" tolower(arg[c, j]) ":" (list == "" ? "_files" : list ~ /^ / && long[c, j] != "--preset" ? "_sequence compadd -" list : "(" substr(list, 2) ")")
        gsub(/\[|\]/, "", what)
      }
      printf " \\\n    %s", quoted("*" long[c, j] (arg[c, j] == "-" ? "" : "=") "[" text "]" what)
    }
    print " \\\n    '*:file:_files' ;;"
  }
  printf "  help) _describe command commands ;;\n  esac\n}\n_attnbench \"$@\"\n"
}
function fish(  i, j, c, list) {
  print "# fish completion for attnbench"
  for (i = 1; i <= count; i++)
    printf "complete -c attnbench -n __fish_use_subcommand -f -a %s -d %s\n", order[i], quoted(summary[order[i]])
  for (i = 1; i <= count; i++) {
    c = order[i]
    for (j = 1; j <= n[c]; j++) {
      printf "complete -c attnbench -n '__fish_seen_subcommand_from %s' -l %s", c, substr(long[c, j], 3)
      if (short[c, j] != "-" && short[c, j] != "-?") printf " -s %s", substr(short[c, j], 2)
      if (arg[c, j] != "-") {
        printf " -r"
        list = words_for(long[c, j])
        if (list == "kernels") printf " -f -a %s", quoted(substr(kernels, 2))
        if (list == "presets") printf " -f -a %s", quoted(substr(presets, 2))
        if (list == "isas") printf " -f -a %s", quoted(substr(isas, 2))
      }
      printf " -d %s\n", quoted(doc[c, j])
    }
  }
}
