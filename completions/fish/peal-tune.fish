# SPDX-License-Identifier: MIT
#
# fish: the command line of peal-tune: a command, and the options that it takes; behind "run --" the
# command line of another program.

set -l commands check explain apply undo huge run topology jitter
set -l of __fish_seen_subcommand_from
set -l none "not $of $commands"
set -l changes "$of reserve release"

function __peal_tune_checks
	peal-tune explain 2>/dev/null | string replace -r '  +' \t
end

function __peal_tune_nodes
	ls /sys/devices/system/node 2>/dev/null | string replace -fr '^node(\d+)$' '$1'
end

# Behind "run --": what stands there.
function __peal_tune_runs
	set -l words (commandline -opc)
	contains -- -- $words
end

function __peal_tune_program
	set -l words (commandline -opc)
	set -l at (contains -i -- -- $words)
	complete -C (string join ' ' -- (string escape -- $words[(math $at + 1)..-1]) (commandline -ct))
end

complete -c peal-tune -f
complete -c peal-tune -n 'not __peal_tune_runs' -l help -d 'print help'
complete -c peal-tune -n 'not __peal_tune_runs' -l version -d 'print the version'
complete -c peal-tune -n __peal_tune_runs -a '(__peal_tune_program)'
complete -c peal-tune -n $none -a check -d 'a line per finding'
complete -c peal-tune -n $none -a explain -d 'why a check is made'
complete -c peal-tune -n $none -a apply -d 'write what can be'
complete -c peal-tune -n $none -a undo -d 'put back what was there before'
complete -c peal-tune -n $none -a huge -d 'the pools of huge pages'
complete -c peal-tune -n $none -a run -d 'start a program with CPUs, memory and limits'
complete -c peal-tune -n $none -a topology -d 'cores, siblings, caches, nodes'
complete -c peal-tune -n $none -a jitter -d 'how often and how long CPUs are taken away'
complete -c peal-tune -n "$of huge; and not $of list reserve release" -a 'list reserve release'
complete -c peal-tune -n "$of explain" -a '(__peal_tune_checks)'
complete -c peal-tune -n "$of $commands; and not __peal_tune_runs" -l colour -x -a 'always never auto' -d 'when to colour'
complete -c peal-tune -n "$of check apply undo huge run topology jitter; and not __peal_tune_runs" -l root -x -a '(__fish_complete_directories)' -d 'read a recorded /sys and /proc'
complete -c peal-tune -n "$of check apply undo huge run topology jitter; and not __peal_tune_runs" -l json -d 'print one JSON object'
complete -c peal-tune -n "$of check apply undo huge run topology jitter; and not __peal_tune_runs" -l quiet -d 'only what is to be mended'
complete -c peal-tune -n "$of check apply run topology jitter; and not __peal_tune_runs" -l cpus -x -d 'the CPUs that it runs on'
complete -c peal-tune -n "$of check apply run huge; and not __peal_tune_runs" -l node -x -a '(__peal_tune_nodes)' -d 'the NUMA node of its memory'
complete -c peal-tune -n "$of check apply undo" -l only -x -a '(__peal_tune_checks)' -d 'this check alone'
complete -c peal-tune -n "$of check apply topology" -l measure -d 'what a round trip takes'
complete -c peal-tune -n "$of apply undo run reserve release; and not __peal_tune_runs" -l dry-run -d 'print the commands for a shell, and do nothing'
complete -c peal-tune -n "$of apply reserve release" -l persist -d 'make it last'
complete -c peal-tune -n "$of check apply" -l profile -x -a 'latency throughput container' -d 'what it is to be good for'
complete -c peal-tune -n "$of check apply reserve release" -l bytes -x -d 'of rings on huge pages'
complete -c peal-tune -n "$of check apply" -l clients -x -d 'of one server'
complete -c peal-tune -n "$of check apply" -l pid -x -a '(__fish_complete_pids)' -d 'look at the limits of this process'
complete -c peal-tune -n "$of undo" -l force -d 'even what somebody else has changed since'
complete -c peal-tune -n "$of huge" -l size -x -a '64k 2m 1g' -d 'of a page'
complete -c peal-tune -n $changes -l pages -x -d 'so many'
complete -c peal-tune -n "$of run; and not __peal_tune_runs" -l lock -d 'free to lock its memory'
complete -c peal-tune -n "$of run; and not __peal_tune_runs" -l fifo -x -d 'as SCHED_FIFO, of this priority'
complete -c peal-tune -n "$of run; and not __peal_tune_runs" -l hold-latency -d 'with /dev/cpu_dma_latency held'
complete -c peal-tune -n "$of topology" -l rounds -x -d 'of --measure'
complete -c peal-tune -n "$of topology jitter" -l seconds -x -d 'how long to measure'
complete -c peal-tune -n "$of topology" -l plot -r -F -d 'draw the round trips'
complete -c peal-tune -n "$of jitter" -l threshold -x -d 'shortest gap that counts, in nanoseconds'
