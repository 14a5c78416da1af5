# SPDX-License-Identifier: MIT
#
# awk -f tests/like.awk WANTED PRINTED: whether that was printed, as a page says. "..." stands for
# anything within a line, and alone in a line for any lines.

# Whether a line is like a pattern.
function line_is_like(line, pattern,    parts, count, i, at)
{
	count = split(pattern, parts, /\.\.\./)
	if (count < 2)
		return line == pattern
	if (index(line, parts[1]) != 1)
		return 0
	line = substr(line, length(parts[1]) + 1)
	for (i = 2; i < count; i++) {
		at = index(line, parts[i])
		if (!at)
			return 0
		line = substr(line, at + length(parts[i]))
	}
	return length(line) >= length(parts[count]) &&
		substr(line, length(line) - length(parts[count]) + 1) == parts[count]
}

function are_like(from, wanted_from)
{
	for (; wanted_from <= wanted_count; wanted_from++) {
		if (wanted[wanted_from] ~ /^ *\.\.\.$/) {
			for (; from <= count + 1; from++)
				if (are_like(from, wanted_from + 1))
					return 1
			return 0
		}
		if (from > count || !line_is_like(printed[from], wanted[wanted_from]))
			return 0
		from++
	}
	return from == count + 1
}

FILENAME == ARGV[1] { wanted[++wanted_count] = $0; next }
{ printed[++count] = $0 }
END { exit !are_like(1, 1) }
