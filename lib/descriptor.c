/*
 * SPDX-License-Identifier: MIT
 *
 * Waiting for a link by descriptor: the control socket, which tells that the peer is gone and by
 * which it may ring, and an eventfd that only it rings; and peal_link_arm, for event loops. How
 * bells are armed is in bell.c.
 */
#include "config.h"

#include <errno.h>

#include "lib/bell.h"
#include "lib/error.h"

#define KEY_SOCKET 0
#define KEY_EVENTFD 1

/* The eventfd is never read, so only a poller can tell one ring from the next. */
static int make_poller(struct peal_link *link)
{
	int err = 0;

	if (link->poller >= 0 || link->own_eventfd < 0)
		return 0;
	registry_lock();
	link->poller = platform_poller();
	if (link->poller < 0) {
		err = link->poller;
	} else {
		err = platform_poller_add(link->poller, link->fd, KEY_SOCKET);
		if (!err)
			err = platform_poller_add_edge(link->poller, link->own_eventfd,
						       KEY_EVENTFD);
		if (err)
			platform_close(link->poller);
	}
	if (err)
		link->poller = -1;
	registry_unlock();
	return err;
}

/* So many rings that were not asked for are no lie yet. */
#define RINGS_MORE 64

bool link_can_poll(struct peal_link *link)
{
	return link->fd >= 0 && !make_poller(link);
}

int link_poll(struct peal_link *link, int64_t ns)
{
	return link->poller >= 0 ? platform_poller_wait(link->poller, ns) :
				   platform_poll(link->fd, false, ns);
}

void link_note_end(struct peal_link *link, bool shut_down)
{
	link->shut_down = shut_down;
	/* Pairs with the load in link_verdict; nothing else is read by it. */
	__atomic_store_n(&link->hung_up, true, __ATOMIC_RELAXED);
}

void link_drain(struct peal_link *link, bool all)
{
	int most = all ? RINGS_MORE + (int)link->owed : 1;
	/* Of one that lied nothing more is taken in. */
	int taken = link_verdict(link, false) == -EPROTO ? 0 : platform_drain(link->fd, most);

	if (taken == -EPROTO || (all && taken == most))
		link_broken(link, "it sent more through its socket than bells that were asked for");
	else if (taken < 0)
		link_note_end(link, false);
	else if (taken < most)
		link->owed = 0;
	else
		link->owed -= link->owed != 0;
	if (link->poller >= 0)
		platform_poller_wait(link->poller, 0);
}

static int check(struct peal_link *link)
{
	int err;

	if (link->stale)
		return error_literal(-ESTALE,
				     "this link is from before a fork: only the parent can use it");
	if (link->pair)
		return error_literal(-EOPNOTSUPP,
				     "the ends of a pair have no descriptor: use peal_listen and "
				     "peal_connect, or wait in peal_recv");
	if (link->data.spin_ns == UINT64_MAX)
		return error_literal(
			-EOPNOTSUPP,
			"the link spins (PEAL_WAIT_SPIN), so nobody rings for it: choose "
			"another way of waiting");
	err = make_poller(link);
	return err ? error_set(err, "no descriptor to wait by (epoll, errno %d): %s", -err,
			       error_mend(err, "raise the limit of descriptors (nofile)")) :
		     0;
}

int peal_link_fd(struct peal_link *link)
{
	int result;

	PEAL_DEBUG_ENTER(&link->tx);
	PEAL_DEBUG_ENTER(&link->rx);
	result = check(link);
	if (!result)
		result = link->poller >= 0 ? link->poller : link->fd;
	PEAL_DEBUG_LEAVE(&link->rx);
	PEAL_DEBUG_LEAVE(&link->tx);
	return result;
}

static int arm(struct peal_link *link, uint32_t what)
{
	struct arming arming = { .link = link, .what = what };
	int err = check(link);
	bool full;

	if (!err && (!what || (what & ~(uint32_t)(PEAL_DATA | PEAL_ROOM))))
		err = error_set(-EINVAL, "peal_link_arm for 0x%x: PEAL_DATA, PEAL_ROOM or both",
				what);
	if (!err && link->set)
		err = error_literal(
			-EBUSY,
			"the link is in a set, which arms it: use peal_set_arm, and for room "
			"peal_set_want_room");
	if (err)
		return err;
	/* Never between arming and waiting: that would eat the one bell of this sleep. */
	if (!link_poll(link, 0)) {
		link_drain(link, true); /* [drain] [drain-before-arm] */
		bell_heard(link, PEAL_DATA | (link->room.armed ? PEAL_ROOM : 0));
		bell_disarm(link, PEAL_DATA | PEAL_ROOM);
	}
	bell_arm(&arming, 1, true);
	full = (what & PEAL_ROOM) && !bell_is_news(link, PEAL_ROOM);
	if (full != (link->room.stalled != 0))
		bell_stalled(&link->room, full ? platform_now() : 0);
	if (!bell_is_news(link, what)) {
		bell_slept(link, NULL);
		if (what & PEAL_DATA)
			bell_found(&link->data, 0);
		return 0;
	}
	bell_disarm(link, PEAL_DATA | PEAL_ROOM);
	return 1;
}

int peal_link_arm(struct peal_link *link, uint32_t what)
{
	int result;

	PEAL_DEBUG_ENTER(&link->tx);
	PEAL_DEBUG_ENTER(&link->rx);
	result = arm(link, what);
	PEAL_DEBUG_LEAVE(&link->rx);
	PEAL_DEBUG_LEAVE(&link->tx);
	return result;
}
