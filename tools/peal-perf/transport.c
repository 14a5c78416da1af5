/*
 * SPDX-License-Identifier: MIT
 *
 * The lists of transports, waiting modes, barriers, pages and tests, by name. It knows nothing of
 * how they work.
 */
#include "config.h"

#include <string.h>

#include "transport.h"

/* In the order of measuring and of the tables. The floor is no transport that a user names. */
static const struct transport *const transports[] = {
	&transport_peal, &transport_set,  &transport_bare, &transport_uds,   &transport_seqpacket,
	&transport_tcp,  &transport_pipe, &transport_mq,   &transport_futex, &transport_eventfd,
};

#define TRANSPORTS (sizeof(transports) / sizeof(transports[0]))

const struct transport *transport_at(unsigned index)
{
	return index < TRANSPORTS ? transports[index] : transport_peers[index - TRANSPORTS];
}

const struct transport *transport_by_name(const char *name)
{
	for (unsigned i = 0; transport_at(i); i++)
		if (!strcmp(transport_at(i)->name, name))
			return transport_at(i);
	return strcmp(transport_floor.name, name) ? NULL : &transport_floor;
}

const struct loops *transport_loops(const struct transport *transport, bool in_place,
				    unsigned batch)
{
	if (batch > 1)
		return in_place ? transport->batched_in_place : transport->batched;
	return in_place ? transport->in_place : transport->loops;
}

const char *wait_name(enum wait_mode wait)
{
	static const char *const names[WAIT_MODES] = {
		[WAIT_SPIN] = "spin",
		[WAIT_ADAPTIVE] = "adaptive",
		[WAIT_SLEEP] = "sleep",
	};

	return wait < WAIT_MODES ? names[wait] : NULL;
}

const char *barrier_name(enum barrier_mode barrier)
{
	static const char *const names[BARRIER_MODES] = {
		[BARRIER_AUTO] = "auto",
		[BARRIER_FENCE] = "fence",
		[BARRIER_ASYMMETRIC] = "asymmetric",
	};

	return barrier < BARRIER_MODES ? names[barrier] : NULL;
}

const char *huge_name(enum huge_mode huge)
{
	static const char *const names[HUGE_MODES] = {
		[HUGE_UNSAID] = "auto", [HUGE_OFF] = "off",         [HUGE_AUTO] = "auto",
		[HUGE_TRY] = "try",     [HUGE_REQUIRE] = "require",
	};

	return huge < HUGE_MODES ? names[huge] : NULL;
}

const char *test_name(enum test_id test)
{
	static const char *const names[TESTS] = {
		[TEST_FLOOR] = "floor",
		[TEST_LATENCY] = "latency",
		[TEST_STREAM] = "stream",
		[TEST_RATE] = "rate",
	};

	return test < TESTS ? names[test] : NULL;
}
