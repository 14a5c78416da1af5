/*
 * SPDX-License-Identifier: MIT
 *
 * What inputs leave behind. See steady.h.
 */
#include "config.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <peal.h>

#include "platform/platform.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/steady.h"

/* Inputs between two looks at what costs more than to look at. */
#define SELDOM 512u

/* Mappings that a target may keep for itself. */
#define KEPT 32

#define PATIENCE_NS UINT64_C(20000000000)

static struct peal_link *others[2];
static int lowest; /* number that was free before this input */
static int mapped; /* lines of /proc/self/maps about memory of links */
static unsigned inputs;

/* One that is left open takes the lowest number, or the one that it was opened under is not free
 * any more. */
static int lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	must_be(fd >= 0, "a descriptor", fd);
	close(fd);
	return fd;
}

static int count_mapped(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, "/memfd:") != NULL;
	if (file)
		fclose(file);
	return count;
}

static void expect_others_well(void)
{
	uint8_t buffer[8];

	for (int i = 0; i < 2; i++) {
		must(!peal_send(peal_link_tx(others[i]), "well", 4, 7, 0), "others send");
		must(peal_recv(peal_link_rx(others[!i]), buffer, sizeof(buffer), NULL, 0) == 4 &&
			     !memcmp(buffer, "well", 4),
		     "others receive");
	}
}

void steady_begin(void)
{
	struct peal_link *more[2];

	if (!others[0]) {
		/* The objects of counters that these bring stay, and no target needs another. */
		must(!peal_pair(others, NULL) && !peal_pair(more, NULL), "pairs");
		peal_close(more[0]);
		peal_close(more[1]);
		mapped = count_mapped();
	}
	/* Between inputs a fuzzer may open its own. */
	lowest = lowest_free();
}

void steady_end(void)
{
	uint64_t end = platform_now() + PATIENCE_NS;

	while (lowest_free() != lowest) {
		must_be(platform_now() < end, "descriptors are closed", lowest_free());
		sched_yield();
	}
	expect_others_well();
	if (++inputs % SELDOM == 0)
		must_be(count_mapped() <= mapped + KEPT, "memory is given back", count_mapped());
}
