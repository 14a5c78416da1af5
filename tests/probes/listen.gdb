# SPDX-License-Identifier: MIT
#
# Says when a probe is passed, and what its arguments are. For tests/probes/run.
set confirm off
set pagination off
set debuginfod enabled off
break main
run
break -probe-stap peal:connect
commands
silent
printf "peal:connect role %d pid %d name %s\n", $_probe_arg1, $_probe_arg2, (char *)$_probe_arg3
continue
end
break -probe-stap peal:close
commands
silent
printf "peal:close sent %d received %d\n", $_probe_arg2, $_probe_arg3
continue
end
break -probe-stap peal:full
commands
silent
printf "peal:full size %d timeout %d\n", $_probe_arg1, $_probe_arg2
continue
end
break -probe-stap peal:sleep
commands
silent
printf "peal:sleep room %d ns %ld\n", $_probe_arg1, $_probe_arg2
continue
end
break -probe-stap peal:ring
commands
silent
printf "peal:ring room %d\n", $_probe_arg1
continue
end
break -probe-stap peal:violation
commands
silent
printf "peal:violation link %d pid %d %s\n", $_probe_arg0 != 0, $_probe_arg1, (char *)$_probe_arg2
continue
end
continue
