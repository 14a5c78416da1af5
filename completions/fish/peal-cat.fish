# SPDX-License-Identifier: MIT
#
# fish: the command line of peal-cat.

# Servers by their names; paths are fish's own.
function __peal_servers
	find $XDG_RUNTIME_DIR/peal /run/peal -maxdepth 1 -type s 2>/dev/null | string replace -r '.*/' ''
end

complete -c peal-cat -a '(__peal_servers)' -d server
complete -c peal-cat -s l -l listen -d 'wait for a peer, the first that comes'
complete -c peal-cat -s p -l progress -d 'tell bytes and rates on standard error'
complete -c peal-cat -s r -l ring -x -a '64k 256k 1m 4m 16m 64m' -d 'ring that this side sends into'
complete -c peal-cat -s t -l timeout -x -d 'wait so many seconds for the other side'
complete -c peal-cat -s h -l help -d 'print help'
complete -c peal-cat -s V -l version -d 'print the version'
