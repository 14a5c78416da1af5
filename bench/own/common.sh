#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the scripts of this folder share: getting sources, and starting two sides. To be sourced.

# The CPUs of the two sides.
server_cpu=0
client_cpu=1
# shellcheck disable=SC2034 # used by those who read this
both_cpus=$server_cpu,$client_cpu

# An interrupt waits for the command that is under way: all are short.
trap 'exit 1' INT TERM HUP

unavailable() {
	echo "${0##*/}: $1" >&2
	exit 77
}

needs() {
	for program; do
		command -v "$program" >/dev/null || unavailable "there is no $program"
	done
}

# source_of PACKAGE FOLDER: the source of a Debian package as its authors released it, in
# FOLDER/source. Sources are asked for where the system has its packages from, by lists of apt's of
# our own, so that the system's remain as they are.
source_of() {
	[ -e "$2/source" ] && return
	needs apt-get dpkg
	apt=$2/apt
	rm -rf "$apt"
	mkdir -p "$apt/parts" "$apt/lists/partial" || exit 1
	for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
		[ -f "$list" ] || continue
		sed 's/^Types: *deb *$/Types: deb-src/; s/^deb /deb-src /' "$list" \
			>"$apt/parts/${list##*/}"
	done
	package=$1 folder=$2
	set -- -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/parts" \
		-o Dir::State::lists="$apt/lists" -o APT::Sandbox::User=root
	# What is missing of it is not said here: other lists, or Debian's part of the source.
	timeout 300 apt-get "$@" -q update >"$apt/log" 2>&1
	(cd "$apt" && timeout 300 apt-get "$@" -q source --download-only "$package") \
		>>"$apt/log" 2>&1
	mkdir "$apt/source"
	tar -xf "$(find "$apt" -name "${package}_*.orig.tar.?z*")" -C "$apt/source" \
		--strip-components=1 2>/dev/null ||
		unavailable "the source of $package cannot be had: see $apt/log"
	mv "$apt/source" "$folder/source"
}

# bytes SIZE: as a number.
bytes() {
	case $1 in
	*k) echo $((${1%k} * 1024)) ;;
	*m) echo $((${1%m} * 1024 * 1024)) ;;
	*) echo "$1" ;;
	esac
}

# number TEXT: itself, if it is one above 0; else nothing, a complaint, and false.
number() {
	echo "$1" | grep -E '^[0-9.]*[1-9][0-9.]*([eE][-+]?[0-9]+)?( .*)?$' && return
	echo "${0##*/}: what was measured is no number: \"$1\"" >&2
	false
}

per_second() {
	awk -v each="$1" 'BEGIN { printf "%.0f\n", 1e9 / each }'
}

# a_second COUNT: calls "once COUNT", which prints the ns of each of COUNT messages (and, where
# that is a median, their mean), and again for as many as are about a second; prints what that says.
a_second() {
	each=$(once "$1") || return 1
	count=$(awk -v each="${each##* }" 'BEGIN { n = int(1e9 / each); print n < 100 ? 100 : n }')
	each=$(once "$count") || return 1
	echo "${each%% *}"
}

# Tells what a_second says as bench/own/run wants it: $1 is the test, $2 what a round trip's
# figure is, mean or median.
tell() {
	[ -n "$each" ] || exit 1
	if [ "$1" = latency ]; then
		echo "$each $2"
	else
		per_second "$each"
	fi
}

# tidy [COMMAND]: whenever this shell ends, $server does. A subshell has to say it anew; COMMAND is
# instead of killing it.
tidy() {
	server=
	trap 'exit 1' INT TERM HUP
	# shellcheck disable=SC2064 # the command is that of now
	trap "${1:-"kill \$server"} 2>/dev/null; wait" EXIT
}

# client_of PID COMMAND...: what it says, tried again until the server, which has just been started,
# is there; then waits for that, or ends it if it never was.
client_of() {
	trap 'exit 1' INT TERM HUP
	server=$1
	shift
	tries=0
	until said=$("$@" 2>&1); do
		if [ $((tries += 1)) -ge 20 ] || ! kill -0 "$server" 2>/dev/null; then
			kill "$server" 2>/dev/null
			break
		fi
		sleep 0.1
	done
	echo "$said"
}
