#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# tests/coverage/judge.py LEAST EXPLAINED REPORT: judges what gcovr --json has written. Of all lines
# at least LEAST per cent were run, and those that were not are in functions that EXPLAINED lists,
# each with the most lines that may be left: so no line's number is anywhere. One line of a function
# may be left by chance, and is only told.

import bisect
import json
import sys

least, explained, report = float(sys.argv[1]), sys.argv[2], sys.argv[3]
passed = failed = 0


def judge(good, name, complaints):
    global passed, failed
    passed += good
    failed += not good
    print(("pass  " if good else "FAIL  ") + name)
    for complaint in [] if good else complaints:
        print("      " + complaint)


allowed = {}
with open(explained) as lines:
    for line in lines:
        words = line.split()
        if words and words[0] != "#":
            allowed[words[0], words[1]] = int(words[2])

total = run = 0
left = {}
there = set()
with open(report) as text:
    files = json.load(text)["files"]
for file in files:
    functions = sorted((each["lineno"], each["name"]) for each in file["functions"])
    begins = [begin for begin, name in functions]
    there.update((file["file"], name) for begin, name in functions)
    for line in file["lines"]:
        if line.get("gcovr/noncode") or line.get("gcovr/excluded"):
            continue
        total += 1
        if line["count"]:
            run += 1
            continue
        at = bisect.bisect(begins, line["line_number"]) - 1
        name = functions[at][1] if at >= 0 else "-"
        left.setdefault((file["file"], name), []).append(line["line_number"])

# ./dev coverage tells which lines are meant; the list has no numbers.
unexplained = []
for (file, name), lines in sorted(left.items()):
    told = f"{file}: {name}, lines {' '.join(map(str, lines))}"
    if len(lines) > allowed.get((file, name), 1):
        unexplained.append(told)
    elif (file, name) not in allowed:
        print("note  by chance, or not explained yet: " + told)
for file, name in sorted(set(allowed) - set(left)):
    if (file, name) in there:
        print(f"note  explained, but all of it was run: {file}: {name}")

percent = 100 * run / total if total else 0
judge(percent >= least, f"{percent:.1f} % of {total} lines were run, at least {least:g} %", [])
judge(not unexplained, "what was not run is explained", unexplained)
# Files of other CPU families were not compiled.
counted = {file["file"] for file in files}
gone = [f"{file}: {name}" for file, name in sorted(set(allowed) - there) if file in counted]
judge(not gone, "every function that is explained is there", gone)
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed > 0)
