# SPDX-License-Identifier: MIT
#
# What a page in mdoc says, a line each, fields apart by tabs:
#
#	title NAME SECTION
#	name NAME		of its NAME section
#	function NAME PROTOTYPE	of its SYNOPSIS, written as tests/man/headers.awk does
#	errno ERRNO		of its ERRORS section
#	xref NAME SECTION
#	word WORD		anywhere
#	marked WORD		in a line that begins with a macro
#	program FILE		an example that was written to that file of the folder `into`:
#	shell FILE		a program in C; commands that are to print what stands below them
#	odd WHY			a block that could not be understood
#
# CONTRIBUTING.md, "a man page", has the rules for examples.

function plain(text)
{
	gsub(/[ \t]+/, " ", text)
	gsub(/ *\* */, "*", text)
	gsub(/ *\( */, "(", text)
	gsub(/ *\) */, ")", text)
	gsub(/ *, */, ",", text)
	return text
}

# The arguments of a macro: in quotes, or up to the next space.
function arguments(text,    count)
{
	count = 0
	sub(/^\.[A-Z][a-z][ \t]*/, "", text)
	while (text != "") {
		if (match(text, /^"[^"]*"/))
			argument[++count] = substr(text, 2, RLENGTH - 2)
		else if (match(text, /^[^ ]+/))
			argument[++count] = substr(text, 1, RLENGTH)
		text = substr(text, RLENGTH + 1)
		sub(/^ +/, "", text)
	}
	return count
}

function join(from, count,    i, text)
{
	text = ""
	for (i = from; i <= count; i++)
		text = text (text == "" ? "" : ",") argument[i]
	return text
}

# What a line of a literal block looks like to the reader.
function shown(line,    rest, out)
{
	rest = line
	out = ""
	while ((at = index(rest, "\\")) > 0) {
		out = out substr(rest, 1, at - 1)
		rest = substr(rest, at)
		if (rest ~ /^\\e/) { out = out "\\"; rest = substr(rest, 3) }
		else if (rest ~ /^\\-/) { out = out "-"; rest = substr(rest, 3) }
		else if (rest ~ /^\\&/) { rest = substr(rest, 3) }
		else if (rest ~ /^\\\(aq/) { out = out "'"; rest = substr(rest, 5) }
		else if (rest ~ /^\\\(dq/) { out = out "\""; rest = substr(rest, 5) }
		else if (rest ~ /^\\\(ga/) { out = out "`"; rest = substr(rest, 5) }
		else if (rest ~ /^\\\(ha/) { out = out "^"; rest = substr(rest, 5) }
		else if (rest ~ /^\\\(ti/) { out = out "~"; rest = substr(rest, 5) }
		else {
			print "odd\t" FILENAME ":" FNR ": " substr(rest, 1, 4) \
				" in a literal block: use \\e, \\-, \\&, \\(aq, \\(dq, \\(ga, \\(ha, \\(ti"
			return out rest
		}
	}
	return out rest
}

function keep(file, text)
{
	printf "%s", text > (into "/" file)
	close(into "/" file)
}

function block_ends(    file)
{
	if (exempt)
		return
	if (text ~ /(^|\n)int main\(/) {
		if (match(text, /^\/\* [a-z0-9_-]+\.c \*\/\n/))
			file = substr(text, 4, RLENGTH - 7)
		else
			file = "example" (++programs == 1 ? "" : programs) ".c"
		keep(file, text)
		print "program\t" file
	} else if (text ~ /(^|\n)\$ /) {
		if (text !~ /^\$ /)
			print "odd\t" FILENAME ":" FNR ": a block with commands begins with one"
		file = "shell" (++shells == 1 ? "" : shells)
		keep(file, text)
		print "shell\t" file
	}
}

/^\.Dt / { print "title\t" tolower($2) "\t" $3 }
/^\.Sh / { heading = substr($0, 5) }
/^\.Nm / && heading == "NAME" { print "name\t" $2 }
heading == "SYNOPSIS" {
	if (/^\.Ft /) {
		type = join(1, arguments($0))
	} else if (/^\.Fn /) {
		count = arguments($0)
		print "function\t" argument[1] "\t" plain(type " " argument[1] "(" join(2, count) ")")
	} else if (/^\.Fo /) {
		name = $2
		list = ""
	} else if (/^\.Fa /) {
		list = list (list == "" ? "" : ",") join(1, arguments($0))
	} else if (/^\.Fc/) {
		print "function\t" name "\t" plain(type " " name "(" list ")")
	}
}
heading == "ERRORS" && match($0, /Er -?E/) {
	rest = substr($0, RSTART)
	while (match(rest, /E[A-Z0-9]+/)) {
		print "errno\t" substr(rest, RSTART, RLENGTH)
		rest = substr(rest, RSTART + RLENGTH)
	}
}
{
	rest = $0
	while (match(rest, /Xr [a-zA-Z0-9_.-]+ [0-9]/)) {
		split(substr(rest, RSTART, RLENGTH), parts, " ")
		print "xref\t" parts[2] "\t" parts[3]
		rest = substr(rest, RSTART + RLENGTH)
	}
	rest = $0
	gsub(/\\-/, "-", rest)
	gsub(/\\&/, "", rest)
	while (match(rest, /[A-Za-z_][A-Za-z0-9_]*/)) {
		word = substr(rest, RSTART, RLENGTH)
		print "word\t" word
		if (/^\./)
			print "marked\t" word
		rest = substr(rest, RSTART + RLENGTH)
	}
}
/^\.\\" not run: ./ { spared = 1; next }
/^\.Bd .*-literal/ {
	literal = 1
	exempt = spared
	text = ""
	next
}
/^\.Ed/ && literal {
	literal = 0
	block_ends()
}
literal && /^\./ { print "odd\t" FILENAME ":" FNR ": a macro in a literal block: " $0 }
literal { text = text shown($0) "\n" }
!/^\.\\"/ { spared = 0 }
