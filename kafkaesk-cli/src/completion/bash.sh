# Completion of NAME for bash, 3.2 or newer. The program itself says what may come next.
_FUNCTION() {
    local line="${COMP_LINE:0:COMP_POINT}" words=() word before breaks="" IFS=$' \t\n'
    read -ra words <<<"$line"
    case "$line" in *[[:space:]]) words+=("") ;; esac
    word="${words[${#words[@]}-1]}"
    # bash replaces what follows the last of its word breaks, so the candidates must not repeat what stands before it.
    case "$COMP_WORDBREAKS" in *:*) breaks="$breaks:" ;; esac
    case "$COMP_WORDBREAKS" in *=*) breaks="$breaks=" ;; esac
    before=""
    if [ -n "$breaks" ]; then before="${word%"${word##*[$breaks]}"}"; fi
    COMPREPLY=()
    local candidate rest
    while IFS=$'\t' read -r candidate rest; do
        case "$candidate" in
        :files)
            compopt -o filenames 2>/dev/null
            while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -f -- "${word#"$before"}")
            ;;
        ?*)
            candidate="${candidate#"$before"}"
            COMPREPLY+=("$(printf %q "$candidate")")
            ;;
        esac
    done < <("${1/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _FUNCTION NAME
