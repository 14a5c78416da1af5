/*
 * SPDX-License-Identifier: MIT
 *
 * How many clients a listener has, of whom, and whether there may be one more: by a count for each
 * user, and by tokens that come back with time, as many as a second brings.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/admission.h"
#include "lib/error.h"
#include "platform/platform.h"

#define SECOND 1000000000u

/* Users without clients who are remembered for their tokens. Who has more users than that to come
 * as has their tokens as well, and gains nothing when they are forgotten. */
#define IDLE_MAX 4096u

void admission_init(struct admission *admission)
{
	pthread_mutex_init(&admission->lock, NULL);
}

/* Takes the users out of a chain who have no clients and, unless all is true, all their tokens. */
static void forget(struct admission *admission, struct user **at, uint64_t now, bool all)
{
	struct user *user;

	for (user = *at; user; user = *at) {
		if (!user->clients && (all || user->full_at <= now)) {
			*at = user->next;
			free(user);
			admission->idle--;
		} else {
			at = &user->next;
		}
	}
}

static struct user **chain_of(struct admission *admission, uint32_t uid)
{
	return &admission->users[(uid * 0x9e3779b9u >> 16) % ADMISSION_CHAINS];
}

/* NULL: not known. */
static struct user *find(struct admission *admission, uint32_t uid)
{
	struct user *user = *chain_of(admission, uid);

	while (user && user->uid != uid)
		user = user->next;
	return user;
}

/* NULL: no memory. */
static struct user *add(struct admission *admission, uint32_t uid, uint64_t now)
{
	struct user *user, **chain = chain_of(admission, uid);

	forget(admission, chain, now, false);
	for (unsigned i = 0; admission->idle >= IDLE_MAX && i < ADMISSION_CHAINS; i++)
		forget(admission, &admission->users[i], now, true);
	user = malloc(sizeof(*user));
	if (!user)
		return NULL;
	*user = (struct user){ .next = *chain, .uid = uid };
	*chain = user;
	admission->idle++;
	return user;
}

/* Takes a token for a new client: each is back after its part of a second. */
static bool take_token(struct user *user, uint32_t rate, uint64_t now)
{
	uint64_t each = SECOND / rate, from = user->full_at > now ? user->full_at : now;

	if (from - now + each > SECOND)
		return false;
	user->full_at = from + each;
	return true;
}

static int enter(struct admission *admission, uint32_t uid, uint64_t now)
{
	const struct listen_limits *limits = &admission->limits;
	struct user *user;

	if (limits->clients && admission->clients >= limits->clients)
		return error_set(
			-EBUSY,
			"the server has %u clients, its limit: try again when one has left, or raise the limit there",
			limits->clients);
	user = find(admission, uid);
	if (!user)
		user = add(admission, uid, now);
	if (!user)
		return error_literal(-EBUSY, "the server is out of memory: try again");
	if (limits->per_user && user->clients >= limits->per_user)
		return error_set(
			-EBUSY,
			"the server has %u clients of user %u, its limit for one user: close one, or raise the limit there",
			limits->per_user, uid);
	if (limits->user_rate && !take_token(user, limits->user_rate, now))
		return error_set(
			-EBUSY,
			"the server takes %u new clients of one user in a second, and user %u has had more: try again later, or raise the limit there",
			limits->user_rate, uid);
	admission->idle -= !user->clients;
	user->clients++;
	admission->clients++;
	return 0;
}

/* Without limits nothing is counted: nobody would tell of those who have gone. */
static bool is_limited(const struct listen_limits *limits)
{
	return limits->clients || limits->per_user || limits->user_rate;
}

int admission_enter(struct admission *admission, uint32_t uid, uint64_t now)
{
	int err;

	if (!is_limited(&admission->limits))
		return 0;
	pthread_mutex_lock(&admission->lock);
	err = enter(admission, uid, now);
	pthread_mutex_unlock(&admission->lock);
	if (err) /* Pairs with the load in listen_refused; it stands for nothing else. */
		__atomic_store_n(&admission->refused, admission->refused + 1, __ATOMIC_RELAXED);
	return err;
}

static void leave(struct admission *admission, uint32_t uid, bool undo)
{
	uint32_t rate = admission->limits.user_rate;
	struct user *user;

	if (!is_limited(&admission->limits))
		return;
	pthread_mutex_lock(&admission->lock);
	user = find(admission, uid);
	if (user && user->clients) {
		if (undo && rate)
			user->full_at -= SECOND / rate;
		user->clients--;
		admission->clients--;
		admission->idle += !user->clients;
	}
	pthread_mutex_unlock(&admission->lock);
}

void admission_leave(struct admission *admission, uint32_t uid)
{
	leave(admission, uid, false);
}

void admission_undo(struct admission *admission, uint32_t uid)
{
	leave(admission, uid, true);
}

void admission_end(struct admission *admission)
{
	/* The lock may have been another thread's when this process was forked: it stays as it
	 * is. */
	for (unsigned i = 0; i < ADMISSION_CHAINS; i++)
		while (admission->users[i]) {
			struct user *user = admission->users[i];

			admission->users[i] = user->next;
			free(user);
		}
}
