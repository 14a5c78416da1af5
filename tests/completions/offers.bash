# SPDX-License-Identifier: MIT
#
# bash offers.bash COMPLETIONS LINES OUT: what bash offers at the end of each line of the file LINES:
# into OUT/1, OUT/2, ...

completions=$1 lines=$2 out=$3 number=0
while IFS= read -r line; do
	number=$((number + 1))
	# As bash takes a line apart; a blank at its end begins a new word.
	read -ra COMP_WORDS <<<"${line//=/ = }"
	[[ $line != *[\ =] ]] || COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMP_LINE=$line COMP_POINT=${#line}
	tool=${COMP_WORDS[0]}
	complete -p "$tool" >/dev/null 2>&1 || . "$completions/bash/$tool"
	COMPREPLY=()
	read -r _ _ function _ < <(complete -p "$tool")
	"$function" "$tool" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
	printf '%s\n' "${COMPREPLY[@]}" >"$out/$number"
done <"$lines"
