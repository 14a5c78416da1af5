# SPDX-License-Identifier: MIT
#
# Reads one JSON value (RFC 8259), the whole input, strictly, and prints what is in it, a line each:
# the path, a tab, and the value as it was written. ".results[0].size	64"; a member that is itself
# an object or an array has a line with "{" or "[" before its own. Anything that is not JSON, a name
# that an object has twice, and text behind the value end it with 1 and a sentence. It knows nothing
# of what the value means.

BEGIN { hex = "[0-9A-Fa-f]" }
{ text = text $0 "\n" }
END {
	position = 1
	value("")
	space()
	if (position <= length(text))
		wrong("there is more behind the value")
}

function wrong(what) {
	printf "not JSON: %s, before: %s\n", what, substr(text, position, 40) >"/dev/stderr"
	exit 1
}

function space() {
	while (index(" \t\n\r", substr(text, position, 1)) && position <= length(text))
		position++
}

# Takes what the pattern matches here, if it does.
function take(pattern,    rest) {
	rest = substr(text, position, 4096)
	if (!match(rest, "^(" pattern ")"))
		return ""
	position += RLENGTH
	return substr(rest, 1, RLENGTH)
}

function expect(char) {
	if (substr(text, position, 1) != char)
		wrong("\"" char "\" is missing")
	position++
}

function string(    begin, char) {
	begin = position
	expect("\"")
	for (;;) {
		char = substr(text, position, 1)
		if (char == "\"")
			break
		if (position > length(text) || char < " ")
			wrong("a string does not end, or has a control character in it")
		position++
		if (char != "\\")
			continue
		if (take("[\"\\\\/bfnrt]") == "" && take("u" hex hex hex hex) == "")
			wrong("an escape that there is not")
	}
	position++
	return substr(text, begin, position - begin)
}

function members(path,    name) {
	print path "\t{"
	expect("{")
	space()
	if (take("[}]") != "")
		return
	do {
		space()
		name = string()
		name = path "." substr(name, 2, length(name) - 2)
		if (name in seen)
			wrong(name " is there twice")
		seen[name] = 1
		space()
		expect(":")
		value(name)
		space()
	} while (take(",") != "")
	expect("}")
}

function elements(path,    i) {
	print path "\t["
	expect("[")
	space()
	if (take("[]]") != "")
		return
	i = 0
	do {
		value(path "[" i++ "]")
		space()
	} while (take(",") != "")
	expect("]")
}

function value(path,    char, word) {
	space()
	char = substr(text, position, 1)
	if (char == "{") {
		members(path)
	} else if (char == "[") {
		elements(path)
	} else if (char == "\"") {
		print path "\t" string()
	} else {
		word = take("true|false|null|-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?")
		if (word == "")
			wrong("a value is missing")
		print path "\t" word
	}
}
