# SPDX-License-Identifier: MIT
#
# What the scripts that read peal-perf's JSON share: rows of the same rounds, the places that the
# cores were at, and values in words.
#
# A virtual machine's cores move, and the floor (the round trip of two cache lines) with them: from
# one core's two threads to two cores of a cache, and to two far apart. Rounds are told apart where
# the floors of all, in order, leave gaps: "near" and "far", or "nearest" before them.

import math
import statistics

GAP = 1.5  # a floor that is so many times the next lower one is of another place
PLACES = (("near",), ("near", "far"), ("nearest", "near", "far"))


def scaled(value, units, base):
    unit = 0
    while abs(value) >= 0.9995 * base and unit < len(units) - 1:
        value /= base
        unit += 1
    digits = 0 if abs(value) >= 99.95 or (not unit and value == int(value)) else 1
    digits = 2 if abs(value) < 9.995 and digits else digits
    return f"{value:.{digits}f}{units[unit]}"


def time_text(ns):
    return "–" if ns is None else scaled(ns, (" ns", " µs", " ms", " s"), 1000)


def count_text(count):
    return "–" if count is None else scaled(count, ("", " k", " M", " G"), 1000)


def bytes_text(count):
    return "–" if count is None else scaled(count, (" B", " KiB", " MiB", " GiB"), 1024)


def size_text(size):
    return bytes_text(size).replace(".00", "").replace(".0 ", " ")


def ratio_text(values):
    """The median of a ratio of each round, and between what the middle half of them lies."""
    if not values:
        return "–"
    middle = statistics.median(values)
    if len(values) < 4:
        return f"{middle:.2f}"
    low, _, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def groups_of(report):
    """Rows that were measured in the same rounds: a floor's row, and those behind it."""
    groups = []
    for row in report["results"] if report else []:
        if row["test"] == "floor" or not groups:
            groups.append([])
        groups[-1].append(row)
    return [group for group in groups if len(group) > 1]


def places_of(reports):
    """Names of places, and the floor that each is below."""
    floors = sorted(value for report in reports.values() for row in report["results"]
                    if row["test"] == "floor" for value in row.get("round_floor_ns", []) if value)
    gaps = sorted(((above / below, math.sqrt(above * below))
                   for below, above in zip(floors, floors[1:]) if above > GAP * below),
                  reverse=True)[:len(PLACES) - 1]
    ends = sorted(middle for _, middle in gaps) + [math.inf]
    return list(zip(PLACES[len(gaps)], ends))


def rounds_by_place(floors, places):
    below = 0
    for name, end in places:
        yield name, [i for i, ns in enumerate(floors) if ns and below <= ns < end]
        below = end


def rounds_of(row, name, chosen):
    values = row.get(name, [])
    return [values[i] if i < len(values) else None for i in chosen]


def median_of(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def ratios_of(values, others):
    return [a / b for a, b in zip(values, others) if a and b]


def like(group, row, transport):
    """The row of a transport that is the nearest to another: the same batch, the same wait."""
    rows = [other for other in group if other["transport"] == transport]
    rows.sort(key=lambda other: (other["wait"] != row["wait"],
                                 other.get("batch", 1) != row.get("batch", 1)))
    return rows[0] if rows else None


