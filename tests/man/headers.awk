# SPDX-License-Identifier: MIT
#
# What the public headers promise to users, a line each, fields apart by tabs:
#
#	function NAME PROTOTYPE
#	errno NAME ERRNO	that its comment names
#	constant NAME
#	member STRUCT NAME
#
# A group (up to an empty line) whose comment says "not to be called by programs" is left out, and
# so are inline helpers, which are static and not PEAL_INLINE, but for those that fill in options.

function plain(text)
{
	gsub(/[ \t]+/, " ", text)
	gsub(/ ?[*(),;{] ?/, "&", text)
	gsub(/ *\* */, "*", text)
	gsub(/ *\( */, "(", text)
	gsub(/ *\) */, ")", text)
	gsub(/ *, */, ",", text)
	sub(/^ /, "", text)
	sub(/ $/, "", text)
	return text
}

function told(text,    name, rest)
{
	sub(/[;{].*/, "", text)
	sub(/^(PEAL_API|PEAL_INLINE|static inline) /, "", text)
	text = plain(text)
	if (!match(text, /peal_[a-z0-9_]+\(/))
		return
	name = substr(text, RSTART, RLENGTH - 1)
	print "function\t" name "\t" text
	rest = comment
	while (match(rest, /-E[A-Z0-9]+/)) {
		print "errno\t" name "\t" substr(rest, RSTART + 1, RLENGTH - 1)
		rest = substr(rest, RSTART + RLENGTH)
	}
}

function members(name, body,    count, i, parts, one)
{
	while (match(body, /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//))
		body = substr(body, 1, RSTART - 1) " " substr(body, RSTART + RLENGTH)
	count = split(body, parts, ";")
	for (i = 1; i < count; i++) {
		one = parts[i]
		if (match(one, /\(\*[a-z0-9_]+\)/)) {
			one = substr(one, RSTART + 2, RLENGTH - 3)
		} else {
			sub(/\[.*/, "", one)
			sub(/[ \t]+$/, "", one)
			sub(/.*[ \t*]/, "", one)
		}
		if (one !~ /^spare/)
			print "member\t" name "\t" one
	}
}

FNR == 1 { comment = proto = body = ""; kind = "" }
/^$/ && kind == "" { comment = "" }
/^[\/ ]\*/ { comment = comment " " $0 }
/^#define PEAL_/ && !/_H$/ { sub(/\(.*/, "", $2); print "constant\t" $2 }
/^enum peal_.*\{$/ { kind = "enum"; next }
/^struct peal_.*\{$/ { kind = "struct"; name = $2; body = ""; next }
/^};/ {
	if (kind == "struct")
		members(name, body)
	kind = ""
}
kind == "enum" && match($0, /^\t[A-Z_0-9]+/) { print "constant\t" substr($0, 2, RLENGTH - 1) }
kind == "struct" { body = body " " $0 }
/^(PEAL_API|PEAL_INLINE) / || /^static inline .*_options_init\(/ {
	proto = ""
	kind = "proto"
}
kind == "proto" {
	proto = proto " " $0
	if (/[;]/ || /^\{/) {
		kind = ""
		sub(/^ /, "", proto)
		if (comment !~ /not to be called by programs/)
			told(proto)
	}
}
