# SPDX-License-Identifier: MIT
#
# For the tests of peal-top, which read it in with ".", in bash, when $here is their folder: servers
# and clients to look at, and a look at them. They need what "make check-tools" builds:
# $top_builddir, or build/gcc, or build/; PEAL_TOP names another program. None of it knows how fast
# anything is.
# shellcheck shell=bash

. "$here/../tally.sh"
top=$(cd "$here/../.." && pwd)
build=${top_builddir:-$top/build/gcc}
[ -d "$build" ] || build=$top/build
program=${PEAL_TOP:-$build/peal-top}
patience=30 # seconds that anything may take, far more than it needs
unset "${!PEAL_@}" NO_COLOR TERM

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
address=$scratch/socket out=$scratch/out err=$scratch/err flat=$scratch/flat

complain() {
	echo "$*"
	return 1
}

wait_until() { # COMMAND...
	local end=$((SECONDS + patience))
	until "$@"; do
		[ $SECONDS -lt $end ] || complain "not within $patience s: $*" || return
		sleep 0.05
	done
}

# A test runs in a shell of its own, and leaves no process behind.
started=()
begin() {
	rm -rf "${scratch:?}"/*
	trap 'kill -KILL "${started[@]}" 2>/dev/null' EXIT
}

listens() { # address
	"$program" --prometheus "$1" >"$scratch/listens" 2>/dev/null
}

# serve [ADDRESS]: its number becomes $server.
serve() {
	local where=${1:-$address}
	"$build/examples/echo-service" "$where" >/dev/null 2>&1 &
	server=$!
	started+=("$server")
	wait_until listens "$where"
}

# visit NAME LINKS [ADDRESS]: a client, which descriptor 7 tells what to do and 8 what it did.
visit() {
	rm -f "$scratch/orders" "$scratch/reports"
	mkfifo "$scratch/orders" "$scratch/reports"
	"$build/tests/tools/visitor" "${3:-$address}" "$1" "$2" <"$scratch/orders" \
		>"$scratch/reports" &
	visitor=$!
	started+=("$visitor")
	exec 7>"$scratch/orders" 8<"$scratch/reports"
	told
}

# The report: $report, of all links messages and bytes received, and sent.
told() {
	read -r -t $patience -u 8 -a report && [ "${report[0]}" = "done" ] ||
		complain "the client says: ${report[*]:-nothing}"
}

order() { # words
	echo "$*" >&7
	told
}

# look ARGUMENT...: peal-top's output into $out; its status.
look() {
	timeout -k 5 $patience "$program" "$@" >"$out" 2>"$err" </dev/null
}

look_at() { # ARGUMENT...: one sample as JSON, taken apart
	look --json --once -d 0.05 "$@" "$address" || complain "$(cat "$err")" || return
	awk -f "$here/json.awk" "$out" >"$flat"
}

value() { # path
	awk -F '\t' -v path="$1" '$1 == path { print $2 }' "$flat"
}

sum() { # pattern: of all paths that match
	awk -F '\t' -v path="$1" '$1 ~ path { sum += $2 } END { printf "%.0f\n", sum }' "$flat"
}

# Whether all links together have what the client says, now that it is done.
agrees() {
	look_at >/dev/null || return
	[ "$(sum '^[.]clients[[][0-9]+[]][.]in[.]messages$')" = "${report[4]}" ] &&
		[ "$(sum '^[.]clients[[][0-9]+[]][.]in[.]bytes$')" = "${report[5]}" ] &&
		[ "$(sum '^[.]clients[[][0-9]+[]][.]out[.]messages$')" = "${report[2]}" ] &&
		[ "$(sum '^[.]clients[[][0-9]+[]][.]out[.]bytes$')" = "${report[3]}" ]
}
