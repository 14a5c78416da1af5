# SPDX-License-Identifier: MIT
#
# Percentages of lines that were run: of each file of lib/, and of the groups that the file
# "counted" makes of files and functions. Reads that file, and then what llvm-cov exports as lcov.
# A line belongs to the last function that begins at or before it.

FNR == 1 { part++ }

part == 1 && !/^#/ && NF > 1 {
	groups[$1] = 1
	group[$2] = $1
	whole[$2] = NF == 2
	for (i = 3; i <= NF; i++)
		wanted[$2, $i] = 1
	order[++files] = $2
}

part == 1 { next }

/^SF:/ {
	file = substr($0, 4)
	sub(".*/\\.\\./", "", file)
	if (index(file, top) == 1)
		file = substr(file, length(top) + 1)
	split("", names)
	split("", at)
	split("", counts)
	begins = lines = 0
}

# Inline functions of headers are many of one name.
/^FN:/ {
	split(substr($0, 4), field, ",")
	name = field[2]
	sub(/.*:/, "", name)
	names[field[1]] = name
}

/^DA:/ {
	split(substr($0, 4), field, ",")
	at[++lines] = field[1]
	counts[lines] = field[2]
}

/^end_of_record/ && (file ~ /^lib\// || file in group) {
	function_now = ""
	first = at[1]
	for (i = 1; i <= lines; i++) {
		for (line = i > 1 ? at[i - 1] + 1 : 1; line <= at[i]; line++)
			if (line in names)
				function_now = names[line]
		all[file]++
		ran[file] += counts[i] > 0
		if (!(file in group) || !(whole[file] || (file, function_now) in wanted))
			continue
		seen[file, function_now] = 1
		counted[file]++
		reached[file] += counts[i] > 0
		if (!counts[i])
			missed[file] = missed[file] " " at[i]
	}
	if (file ~ /^lib\//)
		shown[++showns] = file
}

END {
	print "lines of lib/ that were run:"
	for (i = 1; i <= showns; i++) {
		file = shown[i]
		printf "  %-24s %5.1f %%  %4d of %4d\n", file, 100 * ran[file] / all[file],
			ran[file], all[file]
	}
	for (pair in wanted) {
		split(pair, field, SUBSEP)
		if (!(pair in seen))
			print "counted, but not there: " field[1] " " field[2]
	}
	for (name in groups) {
		total = some = 0
		print name ":"
		for (i = 1; i <= files; i++) {
			file = order[i]
			if (group[file] != name || !counted[file])
				continue
			printf "  %-24s %5.1f %%  %4d of %4d%s\n", file,
				100 * reached[file] / counted[file], reached[file], counted[file],
				missed[file] ? "; not:" missed[file] : ""
			total += counted[file]
			some += reached[file]
		}
		printf "%s: %.1f %% of %d lines\n", name, total ? 100 * some / total : 0, total
	}
}
