# SPDX-License-Identifier: MIT
#
# zsh -f offers.zsh COMPLETIONS LINES OUT: what zsh offers at the end of each line of the file LINES:
# into OUT/1, OUT/2, ... A second zsh has a terminal, and is typed into. Whatever its completion
# offers passes compadd, which keeps a list there.

zmodload zsh/zpty zsh/zselect || exit 3
folder=$1 lines=$2 out=$3

cat >$out/setup <<-'END'
	PS1= PS2= RPS1=
	KEYTIMEOUT=1
	setopt no_beep no_prompt_cr
	LISTMAX=100000
	fpath=($folder/zsh $fpath)
	autoload -Uz compinit
	compinit -u -d $out/dump
	zstyle ':completion:*' verbose no
	number=1
	compadd() {
		local -a got
		local option
		# Those that are asked for something else, and add nothing.
		for option; do
			[[ $option != (-|--) ]] || break
			if [[ $option == -[[:alnum:]]#[OAD]* ]]; then
				builtin compadd "$@"
				return
			fi
		done
		builtin compadd -O got "$@"
		print -rl -- $got >>$out/$number
		builtin compadd "$@"
	}
	next() {
		: >>$out/$number
		: >$out/done.$number
		((++number))
		BUFFER=
	}
	zle -N next
	bindkey '^I' list-choices
	bindkey '^X' next
	: >$out/ready
END

drain() {
	local said
	while zpty -rt shell said; do :; done
}

# Until there is the file.
await() {
	integer tries=0
	until [[ -e $1 ]]; do
		drain
		((++tries < 3000)) && zpty -t shell || return 1
		zselect -t 1
	done
	return 0
}

zpty -b shell "TERM=dumb folder=${(q)folder} out=${(q)out} zsh -f -i"
zpty -w shell "setopt extended_glob; . ${(q)out}/setup"
await $out/ready || exit 3
integer number=0
while IFS= read -r line; do
	((++number))
	zpty -w -n shell "$line"$'\t\x18'
	await $out/done.$number || exit 3
done <$lines
zpty -d shell
