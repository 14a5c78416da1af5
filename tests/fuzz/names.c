/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: what peal-top prints of names that a stranger chose, and of figures.
 */
#include "config.h"

#include "tests/fuzz/bytes.h"
#include "tools/peal-top/column.h"
#include "tools/peal-top/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	char text[200], name[64], shown[ADDRESS_SIZE], figure[FORMAT_SIZE];
	double value;

	bytes_text(&bytes, text, sizeof(text));
	format_name(text, name, 1 + bytes_below(&bytes, sizeof(name)));
	for (const char *c = name; *c; c++)
		must_be(*c >= ' ' && *c <= '~', "a name is plain", *c);
	format_address(text, shown, 1 + bytes_u16(&bytes) % sizeof(shown));
	for (const char *c = shown; *c; c++)
		must_be(*c >= ' ' && *c <= '~', "an address is plain", *c);
	column_find(text);
	bytes_block(&bytes, &value, sizeof(value));
	format_count(value, figure);
	must(strlen(figure) < sizeof(figure), "a figure");
	format_bytes(value, figure);
	format_duration(value, figure);
	format_bound(value, figure);
	format_percent(value, figure);
	format_clock(bytes_u64(&bytes), figure);
	must(strlen(figure) < sizeof(figure), "a figure");
	return 0;
}
