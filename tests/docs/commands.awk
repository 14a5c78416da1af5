# SPDX-License-Identifier: MIT
#
# awk -v out=PREFIX -v line=FIRST -f commands.awk BLOCK: what was typed and what came out. A line that
# begins with "$ " is a command, which goes to PREFIX.LINE.command; the lines behind it, up to the next
# one, are what it prints, and go to PREFIX.LINE.wanted. Prints the numbers of the lines.

/^\$ / {
	at = line + FNR
	print at
	print substr($0, 3) >(out "." at ".command")
	printf "" >(out "." at ".wanted")
	next
}

!at { print "line " line + FNR ": a console begins with a command" >"/dev/stderr"; exit 1 }

{ print >(out "." at ".wanted") }
