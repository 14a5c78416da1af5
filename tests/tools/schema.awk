# SPDX-License-Identifier: MIT
#
# Whether a JSON value keeps a JSON schema: both as json.awk takes them apart, the schema first. It
# knows the keywords that docs/peal-info.schema.json uses, and ends with 1 and a sentence where the
# schema has another one, or the value does not keep it. It knows nothing of what they mean.

BEGIN {
	FS = "\t"
	# What says something, and what only tells people.
	split("$ref type const enum minimum exclusiveMinimum minLength pattern required properties " \
		"items minItems maxItems allOf if then else $schema $id title description $defs", list, " ")
	for (i in list)
		known[list[i]]
}
NR == FNR { schema[$1] = $2; next }
{ data[$1] = $2 }
END {
	if (!keywords(""))
		exit 1
	if (!keeps("", ""))
		exit 1
}

function plain(text) {
	gsub(/^"|"$/, "", text)
	return text
}

function complain(path, what) {
	print (path == "" ? "the value" : path) " " what
	return 0
}

# Whether all keywords of a schema, and of those in it, are known. what: the names right below a
# path.
function keywords(s,    path, name, rest, sub_schema) {
	for (path in schema) {
		if (path == s || index(path, s ".") != 1)
			continue
		rest = substr(path, length(s) + 2)
		name = rest
		sub(/[.[].*/, "", name)
		if (!(name in known))
			return complain(s, "has the unknown keyword " name)
		if (rest == name && name ~ /^(items|if|then|else)$/ && !keywords(s "." name))
			return 0
		if (rest ~ /^(properties|[$]defs)[.][^.[]+$/ || rest ~ /^allOf[[][0-9]+[]]$/) {
			sub_schema = s "." rest
			if (!keywords(sub_schema))
				return 0
		}
	}
	return 1
}

function is_kind(value, kind) {
	if (kind == "object")
		return value == "{"
	if (kind == "array")
		return value == "["
	if (kind == "string")
		return value ~ /^"/
	if (kind == "boolean")
		return value ~ /^(true|false)$/
	if (kind == "integer")
		return value ~ /^-?[0-9]+$/
	return kind == "number" && value ~ /^-?[0-9]/
}

# Nothing is said where it is only asked.
function keeps(s, d, asked,    i, path, name, value, count) {
	if ((s ".$ref") in schema) {
		path = plain(schema[s ".$ref"])
		sub(/^#/, "", path)
		gsub(/\//, ".", path)
		if (!keeps(path, d, asked))
			return 0
	}
	value = data[d]
	if ((s ".type") in schema && !is_kind(value, plain(schema[s ".type"])))
		return asked ? 0 : complain(d, "is no " plain(schema[s ".type"]) ": " value)
	if ((s ".const") in schema && value != schema[s ".const"])
		return asked ? 0 : complain(d, "is not " schema[s ".const"] ": " value)
	if ((s ".enum") in schema) {
		for (i = 0; (path = s ".enum[" i "]") in schema && schema[path] != value; i++)
			;
		if (!(path in schema))
			return asked ? 0 : complain(d, "is none of those that there are: " value)
	}
	if ((s ".minimum") in schema && value + 0 < schema[s ".minimum"] + 0)
		return asked ? 0 : complain(d, "is too small: " value)
	if ((s ".exclusiveMinimum") in schema && value + 0 <= schema[s ".exclusiveMinimum"] + 0)
		return asked ? 0 : complain(d, "is too small: " value)
	if ((s ".minLength") in schema && length(plain(value)) < schema[s ".minLength"] + 0)
		return asked ? 0 : complain(d, "is too short: " value)
	if ((s ".pattern") in schema && plain(value) !~ plain(schema[s ".pattern"]))
		return asked ? 0 : complain(d, "does not match: " value)
	for (i = 0; (path = s ".required[" i "]") in schema; i++)
		if (!((d "." plain(schema[path])) in data))
			return asked ? 0 : complain(d, "has no " schema[path])
	for (path in schema) {
		if (index(path, s ".properties.") != 1)
			continue
		name = substr(path, length(s ".properties.") + 1)
		if (name ~ /[.[]/ || !((d "." name) in data))
			continue
		if (!keeps(path, d "." name, asked))
			return 0
	}
	for (count = 0; (path = d "[" count "]") in data; count++)
		if ((s ".items") in schema && !keeps(s ".items", path, asked))
			return 0
	if ((s ".minItems") in schema && count < schema[s ".minItems"] + 0)
		return asked ? 0 : complain(d, "has only " count)
	if ((s ".maxItems") in schema && count > schema[s ".maxItems"] + 0)
		return asked ? 0 : complain(d, "has as many as " count)
	for (i = 0; (path = s ".allOf[" i "]") in schema; i++)
		if (!keeps(path, d, asked))
			return 0
	if ((s ".if") in schema) {
		path = keeps(s ".if", d, 1) ? s ".then" : s ".else"
		if (path in schema && !keeps(path, d, asked))
			return 0
	}
	return 1
}
