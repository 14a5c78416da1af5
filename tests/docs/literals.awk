# SPDX-License-Identifier: MIT
#
# The string literals of C, each on a line, neighbours joined as a compiler does; a conversion of
# printf's is "...", and an escape what it stands for, as far as sentences have any.

function show() {
	if (literal != "")
		print literal
	literal = ""
}

{
	while ($0 != "") {
		if (match($0, /^[ \t]+/)) {
			# Between neighbours.
		} else if (match($0, /^"([^"\\]|\\.)*"/)) {
			piece = substr($0, 2, RLENGTH - 2)
			keep = RLENGTH
			gsub(/\\"/, "\"", piece)
			gsub(/\\n/, "", piece)
			gsub(/%[-.*0-9]*(ll|z|h)?[a-zA-Z]/, "...", piece)
			literal = literal piece
			$0 = substr($0, keep + 1)
			continue
		} else {
			show()
			match($0, /^('"'|[^ \t"]+|")/)
		}
		$0 = substr($0, RLENGTH + 1)
	}
}

END { show() }
