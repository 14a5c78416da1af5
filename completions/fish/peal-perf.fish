# SPDX-License-Identifier: MIT
#
# fish: the command line of peal-perf: a command, and the options that it takes.

set -l commands floor latency stream rate touch connect churn serve closed matrix idle beside demo
set -l pairs floor latency stream rate demo
set -l crowds connect churn serve closed matrix idle beside
set -l none "not __fish_seen_subcommand_from $commands"
set -l any "__fish_seen_subcommand_from $commands"
set -l most "__fish_seen_subcommand_from $pairs $crowds"
set -l pair "__fish_seen_subcommand_from $pairs"
set -l crowd "__fish_seen_subcommand_from $crowds"
set -l of __fish_seen_subcommand_from

function __peal_perf_transports
	peal-perf --help 2>/dev/null | sed -n '/^transports:$/,/^$/s/^  \([^ ]*\)  *\(.*\)/\1\t\2/p'
end

complete -c peal-perf -f
complete -c peal-perf -l help -d 'print help'
complete -c peal-perf -l version -d 'print the version'
complete -c peal-perf -n $none -a floor -d 'round trips of two cache lines between two CPUs'
complete -c peal-perf -n $none -a latency -d 'round trips of messages'
complete -c peal-perf -n $none -a stream -d 'messages one way, as many as can be'
complete -c peal-perf -n $none -a rate -d 'messages at a given rate'
complete -c peal-perf -n $none -a touch -d 'making a link, and the first lap through a ring'
complete -c peal-perf -n $none -a connect -d 'clients that connect, ask once and leave'
complete -c peal-perf -n $none -a churn -d 'clients that come and go, and what that leaves behind'
complete -c peal-perf -n $none -a serve -d 'requests of many clients at a given rate'
complete -c peal-perf -n $none -a closed -d 'requests of many clients, one after the other'
complete -c peal-perf -n $none -a matrix -d 'the same for sizes, numbers of clients and ways of waiting'
complete -c peal-perf -n $none -a idle -d 'clients that are connected and idle'
complete -c peal-perf -n $none -a beside -d 'one busy client, alone and beside many idle ones'
complete -c peal-perf -n $none -a demo -d 'latency and stream in half a minute, with a picture'
complete -c peal-perf -n $any -l size -x -d 'bytes of a message'
complete -c peal-perf -n $any -l wait -x -a '(__fish_append , spin adaptive sleep)' -d 'ways of waiting'
complete -c peal-perf -n $any -l barrier -x -a 'fence asymmetric auto' -d "of Peal's sleepers"
complete -c peal-perf -n $any -l huge -x -a 'off try require auto' -d "pages of Peal's rings"
complete -c peal-perf -n $any -l ring -x -a '16k 64k 256k 1m 2m 4m' -d 'bytes of a ring in each direction'
complete -c peal-perf -n $any -l rounds -x -d 'rounds of slices'
complete -c peal-perf -n $any -l cpus -x -a 'auto siblings same-cache same-node cross-node any' -d 'one for each side'
complete -c peal-perf -n $any -l json -d 'print one JSON object'
complete -c peal-perf -n $most -l transport -x -a '(__fish_append , (__peal_perf_transports))' -d 'what is measured'
complete -c peal-perf -n $most -l duration -x -d 'measured seconds, shared among slices'
complete -c peal-perf -n $most -l csv -d 'print a line for each row'
complete -c peal-perf -n $pair -l no-prefault -d "let Peal's memory be touched first by its first use"
complete -c peal-perf -n $pair -l threads -d 'both sides as threads of one process'
complete -c peal-perf -n $pair -l zero-copy -d "write and read payloads in Peal's own memory"
complete -c peal-perf -n $pair -l payload -x -a 'all word' -d 'what is written and checked of each'
complete -c peal-perf -n $crowd -l clients -x -d 'of a server'
complete -c peal-perf -n $crowd -l seconds -x -d 'of each slice'
complete -c peal-perf -n "$of latency stream" -l links -x -d 'of a set, which the receiver looks at'
complete -c peal-perf -n "$of rate connect serve" -l rate -x -d 'a second'
complete -c peal-perf -n "$of churn" -l count -x -d 'clients that come and go'
complete -c peal-perf -n "$of stream" -l batch -x -d 'messages at a time'
complete -c peal-perf -n "$of $pairs connect churn serve closed matrix beside" -l compare -r -F -d 'say what is other than then'
complete -c peal-perf -n "$of $pairs connect churn serve closed matrix beside" -l plot -r -F -d 'also draw a picture'
complete -c peal-perf -n "$of floor latency rate demo connect churn serve closed matrix beside" -l histogram -r -F -d 'also write percentiles'
