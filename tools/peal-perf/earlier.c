/*
 * SPDX-License-Identifier: MIT
 *
 * Earlier runs, read by cJSON. Members that are not there have the values of a peal-perf that did
 * not know them; so rows without rounds are read as such.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_CJSON
#include <cJSON.h>
#endif

#include "complaint.h"
#include "earlier.h"

#ifdef HAVE_CJSON

static const char *text_of(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return text ? text : "";
}

/* NAN of what is none; cJSON itself can tell since 1.7.13 only. */
static double number_of(const cJSON *value)
{
	return cJSON_IsNumber(value) ? value->valuedouble : NAN;
}

/* A number that is a count; of one that is none, or is not there: what it is otherwise. */
static uint64_t count_of(const cJSON *row, const char *name, uint64_t otherwise)
{
	double value = number_of(cJSON_GetObjectItemCaseSensitive(row, name));

	return value > 0 && value < 1e15 ? (uint64_t)value : otherwise;
}

static bool is_true(const cJSON *object, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* The first so many numbers of an array. */
static double *numbers_of(const cJSON *row, const char *name, unsigned count)
{
	const cJSON *value, *array = cJSON_GetObjectItemCaseSensitive(row, name);
	double *values = calloc(count + 1, sizeof(*values));
	unsigned i = 0;

	if (!values)
		return NULL;
	cJSON_ArrayForEach(value, array) if (i < count) values[i++] = number_of(value);
	while (i < count)
		values[i++] = NAN;
	return values;
}

static int read_row(struct outcome *outcome, const cJSON *row)
{
	bool rates = !strcmp(text_of(row, "test"), "stream");
	const char *values = rates ? "round_msgs_per_s" : "round_p50_ns";
	const cJSON *idle = cJSON_GetObjectItemCaseSensitive(row, "idle_clients");

	*outcome = (struct outcome){
		.test = text_of(row, "test"),
		.transport = text_of(row, "transport"),
		.wait = text_of(row, "wait"),
		.size = count_of(row, "size", 0),
		.rate = count_of(row, "rate", 0),
		.batch = (unsigned)count_of(row, "batch", 1),
		.links = (unsigned)count_of(row, "links", 1),
		.clients = (unsigned)count_of(row, "clients", 0),
		.zero_copy = is_true(row, "zero_copy"),
		.word = !strcmp(text_of(row, "payload"), "word"),
		.timed = !rates,
		.rounds = (unsigned)cJSON_GetArraySize(
			cJSON_GetObjectItemCaseSensitive(row, values)),
	};
	/* Of a busy client beside idle ones; it may be alone. */
	if (idle)
		outcome->clients = (unsigned)count_of(row, "idle_clients", 0);
	outcome->values = numbers_of(row, values, outcome->rounds);
	outcome->floors = numbers_of(row, "round_floor_ns", outcome->rounds);
	return outcome->values && outcome->floors ? 0 : -ENOMEM;
}

static int read_all(struct earlier *earlier, const cJSON *json)
{
	const cJSON *machine = cJSON_GetObjectItemCaseSensitive(json, "machine");
	const cJSON *row, *rows = cJSON_GetObjectItemCaseSensitive(json, "results");
	struct outcomes *outcomes = &earlier->outcomes;

	earlier->model = text_of(cJSON_GetObjectItemCaseSensitive(machine, "cpu"), "model");
	earlier->kernel = text_of(cJSON_GetObjectItemCaseSensitive(machine, "kernel"), "release");
	earlier->sharing = text_of(machine, "sharing");
	earlier->threads = is_true(machine, "threads");
	outcomes->list = calloc((size_t)cJSON_GetArraySize(rows) + 1, sizeof(*outcomes->list));
	if (!outcomes->list)
		return -ENOMEM;
	cJSON_ArrayForEach(row, rows) if (read_row(&outcomes->list[outcomes->count++],
						   row)) return -ENOMEM;
	return 0;
}

/* A file as far as the first byte that JSON does not have; the caller frees it. NULL with a
 * complaint. */
static char *load(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;
	ssize_t length = file ? getdelim(&text, &room, 0, file) : -1;

	if (length < 0 && file && feof(file)) {
		/* Of an empty file there is room that nothing was written into. */
		free(text);
		text = strdup("");
		if (!text)
			complain(-ENOMEM, "no memory for what %s says", path);
	} else if (length < 0) {
		complain_errno("--compare %s", path);
		free(text);
		text = NULL;
	}
	if (file)
		fclose(file);
	return text;
}

int earlier_read(struct earlier *earlier, const char *path)
{
	char *text = load(path);
	cJSON *json;

	*earlier = (struct earlier){ .path = path };
	if (!text)
		return -ENOENT;
	json = cJSON_Parse(text);
	free(text);
	if (strcmp(text_of(json, "tool"), "peal-perf") ||
	    !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, "results"))) {
		cJSON_Delete(json);
		return complain(-EINVAL,
				"%s is no report of peal-perf: give what peal-perf --json printed",
				path);
	}
	earlier->json = json;
	if (!read_all(earlier, json))
		return 0;
	earlier_free(earlier);
	return complain(-ENOMEM, "no memory for what %s says", path);
}

void earlier_free(struct earlier *earlier)
{
	outcomes_free(&earlier->outcomes);
	cJSON_Delete(earlier->json);
	earlier->json = NULL;
}

#else

int earlier_read(struct earlier *earlier, const char *path)
{
	*earlier = (struct earlier){ .path = path };
	return complain(
		-ENOSYS,
		"this peal-perf was built without cJSON, by which it reads %s: build it with that, or leave out --compare",
		path);
}

void earlier_free(struct earlier *earlier)
{
	outcomes_free(&earlier->outcomes);
}

#endif
