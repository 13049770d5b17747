#compdef NAME
# Completion of NAME for zsh. The program itself says what may come next.
_FUNCTION() {
    local -a candidates
    local line word
    for line in "${(@f)$("${words[1]/#\~/$HOME}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        word="${line%%$'\t'*}"
        case "$word" in
        :files) compset -P '*='; _files; return ;;
        ?*) candidates+=("${word//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    _describe 'NAME' candidates
}
if [ "${funcstack[1]}" = "_FUNCTION" ]; then
    _FUNCTION "$@"
else
    compdef _FUNCTION NAME
fi
