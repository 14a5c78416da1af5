/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: what peal-perf --compare makes of a file: it is read, and compared with itself.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/bytes.h"
#include "tools/peal-perf/compare.h"
#include "tools/peal-perf/complaint.h"
#include "tools/peal-perf/report.h"

/* Of more rounds than this all pairs take long, and tell no more. */
#define ROUNDS 20

/* The rest of peal-perf is not here. */
const char *report_fact(const char *group, const char *name)
{
	(void)group;
	return name;
}

char *outcome_name(char *text, const struct outcome *outcome)
{
	snprintf(text, OUTCOME_TEXT, "%s-%s", outcome->test, outcome->transport);
	return text;
}

void outcomes_free(struct outcomes *outcomes)
{
	for (unsigned i = 0; i < outcomes->count; i++) {
		free(outcomes->list[i].values);
		free(outcomes->list[i].floors);
	}
	free(outcomes->list);
	*outcomes = (struct outcomes){ .list = NULL };
}

static const char *file_of(const uint8_t *data, size_t size)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("earlier", MFD_CLOEXEC);
	must(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size, "a file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

/* What is read here and not there, a sanitizer sees. */
static void check(const struct outcome *outcome)
{
	unsigned none = 0;

	must(outcome->test && outcome->transport && outcome->wait, "texts");
	for (unsigned i = 0; i < outcome->rounds; i++)
		none += isnan(outcome->values[i]) && isnan(outcome->floors[i]);
	must(none <= outcome->rounds, "numbers, or none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options options = { .sharing = "same-llc" };
	struct json json = { .file = stdout };
	struct earlier earlier;
	int err = earlier_read(&earlier, file_of(data, size));
	unsigned most = 0;

	must_be(err == 0 || err == -EINVAL || err == -ENOSYS, "a report or none", err);
	if (err) {
		must(complaint()[0], "an error has its sentence");
		return 0;
	}
	must(earlier.model && earlier.kernel && earlier.sharing, "texts");
	for (unsigned i = 0; i < earlier.outcomes.count; i++) {
		check(&earlier.outcomes.list[i]);
		if (earlier.outcomes.list[i].rounds > most)
			most = earlier.outcomes.list[i].rounds;
	}
	if (most <= ROUNDS) {
		compare_print(&earlier, &earlier.outcomes, &options);
		compare_json(&earlier, &earlier.outcomes, &json);
	}
	earlier_free(&earlier);
	return 0;
}
