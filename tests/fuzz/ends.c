/*
 * SPDX-License-Identifier: MIT
 *
 * Two ends in memory that stays. See ends.h.
 */
#include "config.h"

#include "lib/large.h"
#include "lib/options.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/ends.h"

static struct segment kept[2][2]; /* of a page, and of two */

/* The memory as it is when it is made. */
static struct segment renew(struct segment *segment, const struct peal_options *options)
{
	struct peal_page *page;

	if (!segment->at) {
		must(!segment_create(segment, options, 0), "a segment");
		segment_close_descriptors(segment);
	}
	page = segment_page(segment);
	memset(page, 0, sizeof(*page));
	memset(segment_data(segment), 0, segment->capacity);
	page->magic = SEGMENT_MAGIC;
	page->layout = SEGMENT_LAYOUT;
	page->rx_asleep = options_asleep_word(options);
	return *segment;
}

void ends_open(struct peal_link *ends[2], const struct peal_options *given)
{
	struct link_plan plan = {
		.fd = -1, .own_eventfd = -1, .peer_eventfd = -1, .role = PEAL_PAIR
	};
	struct peal_options options;
	struct segment segments[2];
	int which;

	must(!options_take(&options, given), "options");
	which = options.ring != runtime_get()->page_size;
	for (int i = 0; i < 2; i++)
		segments[i] = renew(&kept[which][i], &options);
	plan.pair = malloc(sizeof(*plan.pair));
	must(plan.pair, "memory");
	/* Two close it, and the memory waits for a third. */
	plan.pair->ends = 3;
	plan.tx_largest = plan.rx_largest = options_largest(&options, options.ring);
	plan.tx_longest = options.max_message;
	for (int i = 0; i < 2; i++) {
		plan.own = segments[i];
		plan.theirs = segments[!i];
		must(!large_set_aside(&plan.join, options.max_message, plan.rx_largest), "room");
		must(!link_create(&ends[i], &plan, &options), "a link");
	}
}

void ends_close(struct peal_link *ends[2])
{
	struct pair *pair = ends[0]->pair;

	peal_close(ends[0]);
	peal_close(ends[1]);
	free(pair);
}
