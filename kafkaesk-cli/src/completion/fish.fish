# Completion of NAME for fish. The program itself says what may come next.
function __FUNCTION_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program (string replace -r '^~' -- $HOME $words[1])
    set -l rest $words[2..-1]
    for line in ($program __complete -- $rest "$word" 2>/dev/null)
        switch $line
            case ':files*'
                set -l before (string match -r '^--[^=]*=' -- $word)
                for path in (__fish_complete_path (string replace -r '^--[^=]*=' '' -- $word))
                    echo "$before$path"
                end
            case '*'
                echo $line
        end
    end
end
complete -c NAME -f -a '(__FUNCTION_complete)'
