# SPDX-License-Identifier: MIT
#
# The public headers for Doxygen, line by line: their plain comments become its own. A comment is of
# what it stands before, or behind on the same line; and of all that follows up to an empty line,
# as far as that has none. Bodies of functions are left out; so is what is not for programs: the
# helpers of the inline verbs (static inline, but for what sets options to their defaults), what a
# comment calls "not to be called by programs", and the fields of structs whose comment says that a
# program only holds pointers to them. Words of Doxygen's in a comment are no commands.
#
# With -v strict=1 it says on standard error which declarations have no comment, which Doxygen does
# not of an enum's values.

# What says of it that it is no command.
function plain(text) {
	gsub(/\\/, "\\\\", text)
	gsub(/[@<>#&%]/, "\\\\&", text)
	gsub(/--/, "\\--", text)
	return text
}

# Emits a declaration that has no comment of its own, on one line with the one that it shares.
function declare(line) {
	if (shared == "") {
		if (strict)
			print FILENAME ":" FNR ": without a comment: " line >"/dev/stderr"
		print line
	} else if (!used)
		print line
	else if (line ~ /^PEAL_API|^PEAL_INLINE/)
		print "/** " plain(shared) " */ " line
	else
		print line " /**< " plain(shared) " */"
	used = 1
}

# Of a comment's text, for those that share it.
function keep(text) {
	sub(/^[ \t]*\/?\*+<?[ \t]*/, "", text)
	sub(/[ \t]*\*\/.*$/, "", text)
	shared = shared (shared == "" ? "" : " ") text
}

# A line of a comment: held back until it is seen what stands behind it.
function take(line, ends) {
	keep(line)
	if (held == "" && trailing == 0)
		sub(/\/\*/, "", line)
	ends = sub(/\*\/[ \t]*$/, "", line)
	line = plain(line) (ends ? "*/" : "") "\n"
	if (trailing) {
		printf "%s", line
		trailing = !ends
	} else {
		held = (held == "" ? "/**" : held) line
	}
	comment = !ends
	if (ends && shared ~ /not to be called by programs/)
		hide = 1
	if (ends && shared ~ /a program only holds pointers/)
		opaque = 1
}

# A paragraph ends: nothing is shared any more.
function blank() {
	shared = ""
	used = 0
	if (hidden) {
		hidden = 0
		print "/** \\endcond */"
		return 1
	}
	return 0
}

# --- inside something ----------------------------------------------------------------------------

body {
	print ""
	if (/^[}]/)
		body = 0
	next
}

fields {
	print ""
	if (/^[}];/)
		fields = 0
	next
}

comment {
	take($0)
	next
}

# What stands by itself, before an empty line, is of the file; what is of
# something hidden is so, too; and the first comment is of the file.
held != "" {
	if (first) {
		sub(/\n[^\n]*SPDX[^\n]*\n/, "\\file\n\n", held)
		first = 0
	} else if (hide || /^#ifndef PEAL_INLINE/ || /^static inline / && !/_options_init\(/)
		gsub(/[^\n]/, "", held)
	else if ($0 ~ /^[ \t]*$/ && held ~ /^\/\*\*/)
		file = sub(/^\/\*\*/, "/** \\file\n", held)
	printf "%s", held
	held = ""
	if (file) {
		# The line that it has more stands for this one.
		file = 0
		blank()
		next
	}
}

FNR == 1 { first = 1 }

# --- comments -------------------------------------------------------------------------------------

/^[ \t]*\/\*/ {
	shared = ""
	used = 0
	comment = 1
	held = ""
	take($0)
	next
}

/^[ \t]*$/ {
	if (!blank())
		print
	next
}

# --- declarations --------------------------------------------------------------------------------

hide {
	hide = 0
	hidden = 1
	$0 = "/** \\cond */ " $0
	print
	next
}

hidden { print; next }

# Guards, and what differs for debugging, or for the library itself.
/^#ifndef PEAL_[A-Z]*_?H$/ { print "#if 1"; guard = 1; next }
guard && /^#define/ { print ""; guard = 0; next }
/^#/ && !/^#define/ { print; next }

/^struct [a-z_]+ [{]$/ && opaque && shared == "" {
	print "struct " $2 ";"
	fields = 1
	next
}

/^(struct|enum) [a-z_]+ [{]/ {
	declare($0)
	depth = 1
	shared = ""
	used = 0
	next
}

/^[}];/ { depth = 0; shared = ""; used = 0; print; next }

/^static inline .*_options_init\(/ { sub(/^static inline /, ""); print; next }

/^static inline / { print "/** \\cond */ " $0; helper = 1; next }

/^[{]/ {
	body = 1
	print helper ? "; /** \\endcond */" : ";"
	helper = 0
	next
}

helper { print; next }

# With a comment behind.
/[^ \t].*\/\*/ {
	shared = ""
	used = 1
	text = $0
	sub(/^.*\/\*/, "/*", text)
	keep(text)
	code = $0
	sub(/[ \t]*\/\*.*$/, "", code)
	sub(/^\/\*/, "", text)
	ends = sub(/\*\/[ \t]*$/, "", text)
	if (code ~ /[ \t*]spare[0-9a-z_]*(\[[^]]*\])?;/)
		code = ""
	print code (code == "" ? "" : " /**<" plain(text) (ends ? "*/" : ""))
	comment = trailing = !ends
	next
}

# Room for later versions is for nobody.
/[ \t*]spare[0-9a-z_]*(\[[^]]*\])?;$/ && depth { print ""; next }

/^(PEAL_API|PEAL_INLINE|#define)/ || (depth && /^\t[a-zA-Z]/) { declare($0); next }

{ print }
