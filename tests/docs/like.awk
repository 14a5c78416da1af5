# SPDX-License-Identifier: MIT
#
# awk -f like.awk WANTED GOT: whether the lines are the same, where "..." stands for anything.

function like(wanted, got, parts, n, i, at) {
	n = split(wanted, parts, /\.\.\./)
	if (n <= 1)
		return wanted == got
	if (substr(got, 1, length(parts[1])) != parts[1])
		return 0
	got = substr(got, length(parts[1]) + 1)
	for (i = 2; i < n; i++) {
		at = index(got, parts[i])
		if (!at)
			return 0
		got = substr(got, at + length(parts[i]))
	}
	return length(got) >= length(parts[n]) &&
		substr(got, length(got) - length(parts[n]) + 1) == parts[n]
}

FILENAME == ARGV[1] { wanted[++wants] = $0; next }
{ got[++gots] = $0 }

END {
	if (wants != gots)
		exit 1
	for (i = 1; i <= wants; i++)
		if (!like(wanted[i], got[i]))
			exit 1
}
