/**
 * The completion script for bash. The library's own one needs the bash-completion package, which bare hosts lack,
 * and lets the shell expand the suggested words; this one does neither.
 */
export const bashCompletion = `# bash completion for aeonctl
_aeonctl() {
  # bash splits words at colons and equals signs; the program wants them whole.
  local words=() word joined=
  for word in "\${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    if [[ -n $joined || $word == [:=]* ]] && (( \${#words[@]} > 0 )); then
      words[-1]+=$word
      joined=
    else
      words+=("$word")
    fi
    [[ $word == [:=] ]] && joined=1
  done
  local current=\${words[-1]} line lines=()
  mapfile -t lines < <(aeonctl complete -- "\${words[@]:1}" 2>/dev/null)
  # Values of --option=value are suggested without the option; bash's own word begins after the last colon.
  local value=$current prefix=
  [[ $current == --*=* ]] && value=\${current#*=}
  [[ $value == *:* && $COMP_WORDBREAKS == *:* ]] && prefix=\${value%"\${value##*:}"}
  COMPREPLY=()
  for line in "\${lines[@]}"; do
    [[ $line == :* ]] && continue
    word=\${line%%$'\\t'*}
    [[ $word == "$value"* ]] && COMPREPLY+=("\${word#"$prefix"}")
  done
}
complete -F _aeonctl aeonctl
`;
