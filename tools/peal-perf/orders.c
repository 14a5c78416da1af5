/*
 * SPDX-License-Identifier: MIT
 *
 * Orders: the accounts of failures, and histograms in pieces that fit a socket.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orders.h"

#define PIECE ((size_t)32768)

void failures_add(struct failures *failures, int err, const char *why, uint64_t count)
{
	uint32_t i = 0;

	if (!count)
		return;
	while (i < failures->reasons && failures->of[i].err != err)
		i++;
	if (i == FAILURE_REASONS)
		i--;
	if (i == failures->reasons) {
		failures->of[i] = (struct failure){ .err = err };
		snprintf(failures->of[i].why, sizeof(failures->of[i].why), "%s", why);
		failures->reasons++;
	}
	failures->of[i].count += count;
	failures->count += count;
}

void failures_merge(struct failures *into, const struct failures *from)
{
	for (uint32_t i = 0; i < from->reasons; i++)
		failures_add(into, from->of[i].err, from->of[i].why, from->of[i].count);
}

int orders_send_histogram(int control, const struct histogram *histogram)
{
	const char *from = (const char *)histogram;
	int err = 0;

	for (size_t at = 0; at < sizeof(*histogram) && !err; at += PIECE) {
		size_t rest = sizeof(*histogram) - at;

		err = control_send(control, from + at, rest < PIECE ? rest : PIECE);
	}
	return err;
}

int orders_add_histogram(int control, struct histogram *into)
{
	struct histogram *histogram = malloc(sizeof(*histogram));
	int err = histogram ? 0 : complain(-ENOMEM, "no memory for a histogram");

	for (size_t at = 0; at < sizeof(*histogram) && !err; at += PIECE) {
		size_t rest = sizeof(*histogram) - at;

		err = control_receive(control, (char *)histogram + at, rest < PIECE ? rest : PIECE);
	}
	if (!err)
		histogram_merge(into, histogram);
	free(histogram);
	return err;
}
