# SPDX-License-Identifier: MIT
#
# awk -v out=FOLDER -f blocks.awk PAGE: the framed blocks of a page of Markdown, each in a file
# FOLDER/N, and a line for each in FOLDER/index: its number, its line in the page, its language, and
# the name of the file that it is ("file: NAME", or NAME and a colon, alone on the last line before
# the frame), or "-".

function close_block() {
	if (n)
		close(out "/" n)
	inside = 0
}

BEGIN {
	index_file = out "/index"
	printf "" >index_file
}

/^```/ && !inside {
	inside = 1
	language = substr($0, 4)
	name = "-"
	if (before ~ /^file: [^ ]+$/)
		name = substr(before, 7)
	else if (before ~ /^[^ ]+\.[a-z]+:$/)
		name = substr(before, 1, length(before) - 1)
	print ++n, NR, (language == "" ? "-" : language), name >index_file
	printf "" >(out "/" n)
	next
}

/^```$/ && inside {
	close_block()
	before = ""
	next
}

inside { print >(out "/" n); next }

/[^ ]/ { before = $0 }

END {
	if (inside) {
		print "line " NR ": a frame is not closed" >"/dev/stderr"
		exit 1
	}
}
