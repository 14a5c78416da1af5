# SPDX-License-Identifier: MIT
#
# Whether a text keeps Prometheus' exposition format: each metric has its HELP and TYPE once and
# first, all of it in one place; labels are quoted and escaped; no series is there twice; buckets of
# a histogram grow, end with +Inf, and that is its count. Ends with 1 and a sentence otherwise. It
# knows nothing of what the metrics mean.

function wrong(what) {
	print "line " NR ": " what ": " $0
	failed = 1
	exit 1
}

# Takes the labels apart, into label[]; returns what stands behind them.
function labels(text,    name, value, key) {
	split("", label)
	key = ""
	while (match(text, /^[a-zA-Z_][a-zA-Z0-9_]*="/)) {
		name = substr(text, 1, RLENGTH - 2)
		text = substr(text, RLENGTH + 1)
		if (!match(text, /^([^"\\]|\\["\\n])*"/))
			wrong("a label's value")
		value = substr(text, 1, RLENGTH - 1)
		text = substr(text, RLENGTH + 1)
		if (name in label)
			wrong("a label twice")
		label[name] = value
		if (name != "le")
			key = key name "=" value ","
		if (text ~ /^,/)
			text = substr(text, 2)
		else
			break
	}
	if (text !~ /^}/)
		wrong("labels do not end")
	series = key
	return substr(text, 2)
}

/[\001-\037\177]/ { wrong("a control character") }

/^# HELP / {
	if ($3 in helped || NF < 4)
		wrong("HELP")
	helped[$3] = 1
	next
}
/^# TYPE / {
	if ($3 in kind || !($3 in helped) || $4 !~ /^(counter|gauge|histogram)$/ || NF != 4)
		wrong("TYPE")
	kind[$3] = $4
	current = $3
	if (($4 == "counter") != ($3 ~ /_total$/))
		wrong("counters, and only they, end with _total")
	next
}
{
	if (!match($0, /^[a-zA-Z_:][a-zA-Z0-9_:]*/))
		wrong("no metric")
	metric = substr($0, 1, RLENGTH)
	rest = substr($0, RLENGTH + 1)
	base = metric
	if (kind[current] == "histogram")
		sub(/_(bucket|sum|count)$/, "", base)
	if (base != current)
		wrong("not where its TYPE is")
	series = ""
	if (rest ~ /^[{]/)
		rest = labels(substr(rest, 2))
	if (rest !~ /^ (-?[0-9]+([.][0-9]+)?(e[-+]?[0-9]+)?|[+]Inf|NaN)$/)
		wrong("a value")
	value = substr(rest, 2)
	whole = metric "{" series ("le" in label ? label["le"] : "")
	if (whole in seen)
		wrong("a series twice")
	seen[whole] = 1
	if (kind[current] == "counter" && value < 0)
		wrong("a counter below 0")
	if (metric ~ /_bucket$/ && kind[current] == "histogram") {
		bound = label["le"] == "+Inf" ? 1e300 : label["le"] + 0
		key = base "{" series
		if (key in last && (bound <= last[key] || value + 0 < below[key] + 0))
			wrong("buckets that fall")
		last[key] = bound
		below[key] = value
	}
	if (metric ~ /_count$/ && kind[current] == "histogram") {
		key = base "{" series
		if (last[key] != 1e300 || below[key] != value)
			wrong("not the count of its buckets")
	}
	split("", label)
}
END { exit failed }
