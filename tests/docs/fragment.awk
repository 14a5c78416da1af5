# SPDX-License-Identifier: MIT
#
# A fragment of C as a file that can be compiled, behind tests/docs/frame.h. What stands outside of
# any brace is a statement, unless the fragment begins with a definition (static, struct, enum,
# #include): then what begins in the first column is defined, and only what is indented is done.

function level(line, opened, closed) {
	opened = gsub(/[{]/, "{", line)
	closed = gsub(/[}]/, "}", line)
	return opened - closed
}

NR == 1 {
	defines = $0 ~ /^(static|struct [a-z_]+ [{]|enum|#include)/
	print "#include \"frame.h\""
	if (!defines)
		start()
	else
		print "#line 1"
}

function start() {
	print "int fragment(void);\nint fragment(void)\n{"
	print "#line " NR
	started = 1
}

defines && !started && depth == 0 && /^\t/ { start() }

{
	print
	depth += level($0)
}

END {
	if (started)
		print "\treturn 0;\n}"
}
