# SPDX-License-Identifier: MIT
#
# For test scripts, which read it in with ".": a line for each test, and the closing line that
# ./dev check adds up. As tests/runner.h does for programs.

passed=0 failed=0 skipped=0

pass() { passed=$((passed + 1)); echo "pass  $*"; }
fail() { failed=$((failed + 1)); echo "FAIL  $*"; }
skip() { skipped=$((skipped + 1)); echo "skip  $*"; }

# expect NAME COMMAND...: a test that passes if the command does; its output is shown if not.
expect() {
	expect_name=$1
	shift
	if expect_output=$("$@" 2>&1); then
		pass "$expect_name"
	else
		fail "$expect_name"
		printf '%s\n' "$expect_output" | head -n 60 | sed 's/^/      /'
	fi
}

have() { command -v "$1" >/dev/null 2>&1; }

# Prints the closing line; its status is that of the script.
tally() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}
