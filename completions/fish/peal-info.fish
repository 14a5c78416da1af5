# SPDX-License-Identifier: MIT
#
# fish: the command line of peal-info.

# Servers by their names; paths are fish's own.
function __peal_servers
	find $XDG_RUNTIME_DIR/peal /run/peal -maxdepth 1 -type s 2>/dev/null | string replace -r '.*/' ''
end

complete -c peal-info -f
complete -c peal-info -l check-peer -r -F -a '(__peal_servers)' -d 'print what a link to a server agrees on'
complete -c peal-info -l timeout -x -d 'of --check-peer, in seconds'
complete -c peal-info -l calibrate -d 'measure what a ring does best with here'
complete -c peal-info -l rounds -x -d 'of --calibrate'
complete -c peal-info -l duration -x -d 'of each measurement of --calibrate, in seconds'
complete -c peal-info -l json -d 'print one JSON object'
complete -c peal-info -l help -d 'print help'
complete -c peal-info -l version -d 'print the version'
