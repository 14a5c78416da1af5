# SPDX-License-Identifier: MIT
#
# fish: the command line of peal-top.

# Servers by their names; paths are fish's own.
function __peal_servers
	find $XDG_RUNTIME_DIR/peal /run/peal -maxdepth 1 -type s 2>/dev/null | string replace -r '.*/' ''
end

function __peal_top_keys
	peal-top --help 2>/dev/null | sed -n '/KEYs:$/,/^$/s/^  [^ ]* *\([^ ]*\)  *\(.*\)/\1\t\2/p'
end

complete -c peal-top -a '(__peal_servers)' -d server
complete -c peal-top -s d -l interval -x -d 'seconds between two looks'
complete -c peal-top -s n -l count -x -d 'number of looks, then end'
complete -c peal-top -s s -l sort -x -a '(__peal_top_keys)' -d 'key of the column to sort by'
complete -c peal-top -s r -l reverse -d 'sort the other way round'
complete -c peal-top -s 1 -l once -d 'print a table, after one interval, and end'
complete -c peal-top -l json -d 'print JSON objects'
complete -c peal-top -l prometheus -d 'print metrics in the text format of Prometheus'
complete -c peal-top -s o -l output -r -F -d 'write metrics into this file'
complete -c peal-top -l no-colour -d 'print no colours'
complete -c peal-top -s h -l help -d 'print help'
complete -c peal-top -s V -l version -d 'print the version'
