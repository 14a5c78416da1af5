# SPDX-License-Identifier: MIT
#
# For the tests of peal-info and peal-perf, which read it in with ".", in bash, when $here is their
# folder: where the commands are, how they are run, and what is asked of their output, JSON above
# all. They need what "make" builds: $top_builddir, or build/gcc, or build/; PEAL_INFO and PEAL_PERF
# name other programs. None of it knows how fast anything is.
# shellcheck shell=bash

. "$here/../tally.sh"
top=$(cd "$here/../.." && pwd)
build=${top_builddir:-$top/build/gcc}
[ -d "$build" ] || build=$top/build
info=${PEAL_INFO:-$build/peal-info}
perf=${PEAL_PERF:-$build/peal-perf}
patience=30 # seconds that a command may take, far more than it needs
unset "${!PEAL_@}"

scratch=$(mktemp -d) || exit 1
serving='' cpuset=''
clean_up() {
	[ -z "$serving" ] || kill "$serving" 2>/dev/null
	rm -rf "$scratch"
	[ -z "$cpuset" ] || rmdir "$cpuset"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
out=$scratch/out err=$scratch/err flat=$scratch/flat

# needs PROGRAM: without it there is nothing to test here.
needs() {
	[ -x "$1" ] || {
		skip "the tests of tools/${0##*/}: $1 is not built"
		tally
		exit
	}
}

# expect_spinning NAME COMMAND...: as expect, where two that spin have a CPU each.
expect_spinning() {
	if [ "$(nproc)" -ge 2 ]; then
		expect "$@"
	else
		skip "$1: one CPU is allowed, and spinning takes two"
	fi
}

complain() {
	echo "$*"
	return 1
}

# run COMMAND...: into $out and $err; its status is that of the command.
run() {
	timeout -k 5 "$patience" "$@" >"$out" 2>"$err" </dev/null
}

# ends STATUS COMMAND...
ends() {
	local wanted=$1 status=0
	shift
	run "$@" || status=$?
	[ $status = "$wanted" ] || complain "status $status, not $wanted: $*" "$(head -n 5 "$err")"
}

# complains WORDS COMMAND...: exit code 64, nothing but a sentence with the words in it, to stderr.
complains() {
	local words=$1
	shift
	ends 64 "$@" && silent "$out" && has "$err" "$words" || return
	[ "$(grep -vc "^Try 'peal-[a-z]* --help' for more information[.]$" "$err")" = 1 ] ||
		complain "not one sentence: $(cat "$err")"
}

silent() { # file: that it is empty
	[ ! -s "$1" ] || complain "should be empty: $(head -n 5 "$1")"
}

has() { # file, words that stand in it just so
	grep -qF -e "$2" "$1" || complain "\"$2\" is not in: $(head -n 60 "$1")"
}

answers_help() { # program
	ends 0 "$1" --help && silent "$err" && has "$out" --json && has "$out" --version
}

# wait_until SECONDS COMMAND...
wait_until() {
	local tries=$(($1 * 10))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

gone() { # process
	! kill -0 "$1" 2>/dev/null
}


# --- JSON ----------------------------------------------------------------------------------------

# Takes $out apart into $flat: lines of a path, a tab and a value.
flatten() {
	awk -f "$here/json.awk" "$out" >"$flat"
}

value() { # path
	awk -F '\t' -v path="$1" '$1 == path { print $2 }' "$flat"
}

is() { # path, value
	[ "$(value "$1")" = "$2" ] || complain "$1 is $(value "$1"), not $2"
}

# kinds PATH NAME:KIND...: the object has these members, and all of them are of their kinds: text,
# flag, count, number, maybe (a number or null), object, array.
kinds() {
	local path=$1 member name kind found pattern bad=0
	shift
	for member; do
		name=${member%:*} kind=${member#*:}
		found=$(value "$path.$name")
		case $kind in
		text) pattern='^".*"$' ;;
		flag) pattern='^(true|false)$' ;;
		count) pattern='^[0-9]+$' ;;
		number) pattern='^-?[0-9.eE+-]+$' ;;
		maybe) pattern='^(null|-?[0-9.eE+-]+)$' ;;
		object) pattern='^\{$' ;;
		array) pattern='^\[$' ;;
		esac
		[[ $found =~ $pattern ]] || { echo "$path.$name is no $kind: \"$found\""; bad=1; }
	done
	return $bad
}

# each PATH NAME:KIND...: as kinds, for all elements of an array, of which there is at least one.
each() {
	local path=$1 i=0
	shift
	while [ -n "$(value "${path}[$i]")" ]; do
		kinds "${path}[$i]" "$@" || return 1
		i=$((i + 1))
	done
	[ $i -gt 0 ] || complain "$path has no elements"
}

python_agrees() {
	python3 -m json.tool <"$1" >/dev/null
}

# also_in_python SENTENCE FILE: a second opinion where it can be had.
also_in_python() {
	if python3 -c 'import json.tool' 2>/dev/null; then
		expect "$1" python_agrees "$2"
	else
		skip "$1: there is no python3 here; tests/tools/json.awk has read it"
	fi
}

# --- peal-info -----------------------------------------------------------------------------------

# A machine with an empty /proc and /sys, into which a script may put files: SCRIPT COMMAND...
in_machine=(unshare -rm sh -c 'mount -t tmpfs none /proc && mount -t tmpfs none /sys && eval "$1" &&
	shift && exec "$@"' sh)

fact() { # name: its value; several may have one name
	awk -F '\t' -v name="\"$1\"" '
		$1 ~ /^[.]facts\[[0-9]+\][.]name$/ { now = $2 }
		$1 ~ /^[.]facts\[[0-9]+\][.]value$/ && now == name {
			gsub(/^"|"$/, "", $2)
			print $2
		}
	' "$flat"
}

numbers() { # "L3:0-2,5 L3:3": 0 1 2 3 5, a line each
	local group range
	for group; do
		for range in $(echo "${group##*:}" | tr , ' '); do
			seq "${range%-*}" "${range#*-}"
		done
	done | sort -n
}

usable_variants() {
	ends 0 "$info" --json && flatten || return
	awk -F '\t' '
		$1 ~ /[.]job$/ { job = $2 }
		$1 ~ /[.]name$/ { name = $2 }
		$1 ~ /[.]usable$/ && job == "\"ring\"" && $2 == "true" { print name }
	' "$flat"
}

answers() { # address
	"$info" --check-peer "$1" >/dev/null 2>&1
}

serve() { # address
	"$build/examples/echo-server" "$1" >/dev/null 2>"$scratch/server.err" &
	serving=$!
	wait_until "$patience" answers "$1"
}

stop_serving() {
	kill "$serving" 2>/dev/null
	wait "$serving" 2>/dev/null
	serving=
}

# --- peal-perf -----------------------------------------------------------------------------------

# begin ARGUMENT...: peal-perf, $measuring, until "interrupt", or until the test ends, which runs in
# a shell of its own.
begin() {
	"$perf" "$@" --json >"$out" 2>"$err" </dev/null &
	measuring=$!
	trap 'kill -KILL $measuring 2>/dev/null' EXIT
}

# Whether those that it started have used a second of CPUs: then they have measured something.
busy() {
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent="$measuring" \
		-v second="$(getconf CLK_TCK)" '
		{ pid = $1; sub(/^.*[)] /, "x x ") }
		$4 == parent { used += $14 + $15 }
		pid == parent { used += $16 + $17 }
		END { exit used < second }'
}

interrupt() { # its exit code becomes $status
	status=0
	kill -INT $measuring
	wait_until "$patience" gone $measuring || complain "it does not end" || return
	trap - EXIT
	wait $measuring || status=$?
}

result_fields="test:text transport:text size:count wait:text batch:count zero_copy:flag payload:text
	rounds:count rounds_dropped:count count:count p50_ns:maybe p99_ns:maybe p999_ns:maybe
	max_ns:maybe mean_ns:maybe msgs_per_s:maybe bytes_per_s:maybe cpu_s:maybe
	switches:maybe floor_ns:maybe ratio_to_floor:maybe ratio_to_bare:maybe"

perf_object() {
	is .schema 1 && is .tool '"peal-perf"' || return
	kinds "" version:text machine:object runtime:object results:array || return
	kinds .runtime ring:text waiter:text page_size:count barrier:text || return
	each .results $result_fields
}

# rows TEST TRANSPORT SIZE WAIT: the indices of such results.
rows() {
	awk -F '\t' -v want="\"$1\" \"$2\" $3 \"$4\"" '
		match($1, /^[.]results\[[0-9]+\][.]/) {
			i = substr($1, 10, RLENGTH - 11)
			field[i, substr($1, RLENGTH + 1)] = $2
			seen[i] = 1
		}
		END {
			for (i in seen)
				if (field[i, "test"] " " field[i, "transport"] " " \
				    field[i, "size"] " " field[i, "wait"] == want)
					print i
		}' "$flat"
}

rounds() { # index: how many there were, kept or not
	echo $(($(value ".results[$1].rounds") + $(value ".results[$1].rounds_dropped")))
}

# One row of each, with all rounds, is what a transport that works leaves behind.
has_rows() { # rounds, test, size, transport:wait...
	local wanted=$1 test=$2 size=$3 pair row
	shift 3
	for pair; do
		row=$(rows "$test" "${pair%:*}" "$size" "${pair#*:}")
		[[ $row =~ ^[0-9]+$ ]] || complain "not one row of $pair: \"$row\"" || return
		[ "$(rounds "$row")" = "$wanted" ] ||
			complain "the rounds of $pair are $(rounds "$row")" || return
	done
}

# Where rounds were dropped the exit code is 1, and that is no fault of a transport.
measured() { # ARGUMENT...
	local status=0
	run "$perf" "$@" --json || status=$?
	[ $status -le 1 ] || complain "status $status: $*" "$(head -n 5 "$err")" || return
	flatten && perf_object || return
	[ -z "$(value .error)" ] || complain "$(value .error)"
}
