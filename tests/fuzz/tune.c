/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: peal-tune's parsers of what the kernel writes, and of what a file says after
 * something was written into it.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "tests/fuzz/bytes.h"
#include "tools/peal-tune/parse.h"
#include "tools/peal-tune/value.h"

#define TEXT 2048

static void check_cpus(int err, const struct cpus *cpus)
{
	static char printed[CPUS_TEXT];
	struct cpus again;

	must_be(err == 0 || err == -EINVAL, "a list or none", err);
	if (err)
		return;
	print_cpus(cpus, printed, sizeof(printed));
	must(!parse_cpus(printed, &again) && !memcmp(&again, cpus, sizeof(again)),
	     "a list is the same again");
	must(cpus_within(cpus, &again) && (!cpus_count(cpus) || cpus_meet(cpus, &again)), "a set");
}

static void use_numbers(const char *text)
{
	char size[SIZE_TEXT], printed[32];
	uint64_t limit;
	int64_t number, again;

	if (!parse_number(text, &number)) {
		snprintf(printed, sizeof(printed), "%lld", (long long)number);
		must(!parse_number(printed, &again) && number == again, "a number again");
	}
	if (!parse_limit(text, &limit))
		must(print_size(limit, size)[0], "a size");
}

static void use_fields(struct bytes *bytes, const char *text)
{
	char name[40], value[64];
	uint64_t soft, hard;
	int err;

	bytes_text(bytes, name, sizeof(name));
	err = parse_field(text, name, value, 1 + bytes_below(bytes, sizeof(value)));
	must_be(err == 0 || err == -ENOENT || err == -EINVAL, "a field or none", err);
	if (!err)
		must(memchr(value, '\0', sizeof(value)), "a field ends");
	if (!parse_rlimit(text, name, &soft, &hard))
		must(soft <= hard, "limits in order");
	if (!parse_cgroup(text, name, value, sizeof(value)))
		must(value[0] == '/' && memchr(value, '\0', sizeof(value)), "a path");
	if (!parse_choice(text, value, 1 + bytes_below(bytes, sizeof(value))))
		must(value[0] && !strpbrk(value, "[] \n"), "a choice");
}

static void use_values(const char *one, const char *other)
{
	char *text = value_of(one);

	must(text && value_same(one, one) && value_same(text, text), "a value is its own");
	must(value_same(one, other) == value_same(other, one), "either way round");
	if (value_judge("/proc/sys/vm/nr_hugepages", other, one, one) != VALUE_TAKEN)
		must(false, "what was written is there");
	value_judge("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", one, other, text);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	unsigned what = bytes_below(&bytes, 4);
	char other[256], *long_text = calloc(1, TEXT), *text;
	struct cpus cpus;

	must(long_text, "memory");
	bytes_text(&bytes, other, what < 2 ? 1 : sizeof(other));
	bytes_text(&bytes, long_text, TEXT);
	/* No longer than it is, so that a sanitizer sees who reads behind it. */
	text = realloc(long_text, strlen(long_text) + 1);
	must(text, "memory");
	switch (what) {
	case 0:
		check_cpus(parse_cpus(text, &cpus), &cpus);
		check_cpus(parse_mask(text, &cpus), &cpus);
		break;
	case 1:
		use_numbers(text);
		break;
	case 2:
		use_values(text, other);
		break;
	default:
		use_fields(&bytes, text);
	}
	free(text);
	return 0;
}
