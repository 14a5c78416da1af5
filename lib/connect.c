/*
 * SPDX-License-Identifier: MIT
 *
 * The client's side of a handshake. Everything is retried or waited for only within the caller's
 * timeout.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/error.h"
#include "lib/handshake.h"
#include "lib/options.h"

/* A socket on its way to be a link's: a child that is forked meanwhile must not keep it. */
struct opening {
	struct handle handle;
	int fd;
};

static void orphan(struct handle *handle)
{
	struct opening *opening = (struct opening *)(void *)((char *)handle -
							     offsetof(struct opening, handle));

	platform_close(opening->fd);
	opening->fd = -1;
}

static int open_socket(struct opening *opening)
{
	opening->handle.orphan = orphan;
	registry_lock();
	registry_add(&opening->handle);
	opening->fd = platform_socket();
	registry_unlock();
	if (opening->fd < 0)
		return error_set(opening->fd,
				 "no socket (errno %d): raise the limit of descriptors",
				 -opening->fd);
	return 0;
}

/* keep: the link has it. */
static void end_opening(struct opening *opening, bool keep)
{
	registry_lock();
	registry_remove(&opening->handle);
	if (!keep)
		platform_close_socket(opening->fd);
	registry_unlock();
}

/* A pause between tries, in ns, random in its upper half so that clients do not march in step. */
static uint64_t jitter(unsigned try)
{
	uint64_t longest = (uint64_t)50000 << (try < 7 ? try : 7);

	/* The low bits of the counter are as random as this needs. */
	return longest / 2 + arch_ticks() % (longest / 2);
}

/* Whether an error passes by itself: then waits a little, within the deadline. */
static int wait_to_retry(int err, unsigned *try, uint64_t deadline, int64_t timeout)
{
	uint64_t now = platform_now(), pause = jitter((*try)++);

	if (timeout == 0)
		return error_literal(-EAGAIN, "the server's backlog is full, and the timeout is 0");
	if (now >= deadline)
		return error_literal(
			-ETIMEDOUT,
			err == -ETOOMANYREFS ?
				"too many descriptors of this user's are under way (the limit is "
				"nofile): the server did not take them in time" :
				"the server's backlog stayed full until the timeout");
	platform_sleep(pause < deadline - now ? pause : deadline - now);
	return 0;
}

static int say_connect_error(int err, const char *address)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		if (platform_folder(address))
			return error_set(-ENOENT, "no folder for the address %s", address);
		return error_set(-ECONNREFUSED, "no server at %s: nothing there", address);
	case -ECONNREFUSED:
		return error_set(
			err,
			platform_probe_socket(address) == -EEXIST ?
				"no server at %s: that is no socket" :
				"no server at %s: the socket is left from one that has ended",
			address);
	case -EACCES:
	case -EPERM:
		return error_set(
			-EACCES,
			"no permission to connect to %s: see the mode of the socket and its folders",
			address);
	case -EPROTOTYPE:
		return error_set(err, "%s is somebody else's socket: it does not speak Peal",
				 address);
	default:
		return error_set(err, "connecting to %s failed (errno %d)", address, -err);
	}
}

static int reach(int fd, const char *address, uint64_t deadline, int64_t timeout)
{
	unsigned try = 0;
	int err;

	for (;;) {
		err = platform_connect(fd, address);
		if (!err)
			return 0;
		if (err != -EAGAIN && err != -EINTR)
			return say_connect_error(err, address);
		err = wait_to_retry(err, &try, deadline, timeout);
		if (err)
			return err;
	}
}

static int say_hello(int fd, const struct wire_message *hello, const struct platform_parcel *parcel,
		     uint64_t deadline, int64_t timeout)
{
	unsigned try = 0;
	int err;

	for (;;) {
		err = platform_send(fd, hello, sizeof(*hello), parcel);
		if (!err || err == -EPIPE || err == -ECONNRESET)
			return 0; /* a refusal may wait to be read */
		if (err != -EAGAIN && err != -ETOOMANYREFS && err != -EINTR && err != -ENOBUFS)
			return error_set(err, "the handshake could not be sent (errno %d)", -err);
		err = wait_to_retry(err, &try, deadline, timeout);
		if (err)
			return err;
	}
}

static int hear_answer(int fd, struct wire_message *answer, struct platform_parcel *parcel,
		       uint64_t deadline, int64_t timeout)
{
	for (;;) {
		uint64_t now;
		int64_t length = platform_receive(fd, answer, sizeof(*answer), parcel);

		if (length > 0)
			return wire_check_version(answer, length);
		if (length == 0 || length == -ECONNRESET)
			return error_literal(-ECONNRESET,
					     "the server went away during the handshake");
		if (length == -EPROTO)
			return error_literal(
				-EPROTO, "the server's answer came with more descriptors than one");
		if (length == -EMFILE)
			return error_literal(-EMFILE,
					     "out of descriptors: raise the limit (nofile)");
		if (length != -EAGAIN && length != -EINTR)
			return error_set((int)length,
					 "the server's answer could not be read (errno %d)",
					 (int)-length);
		now = platform_now();
		if (timeout == 0)
			return error_literal(-EAGAIN,
					     "a handshake needs time, and the timeout is 0");
		if (now >= deadline)
			return error_literal(-ETIMEDOUT,
					     "the server did not answer within the timeout");
		platform_poll(fd, false, timeout < 0 ? -1 : (int64_t)(deadline - now));
	}
}

/* What the server refused, as our own error. */
static int take_refusal(struct wire_message *answer)
{
	static const int reasons[] = { EPERM, EPROTONOSUPPORT, EPROTOTYPE, E2BIG,
				       EBUSY, ETIMEDOUT,       EOPNOTSUPP };
	int err = -EPROTO;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (answer->code == (uint32_t)reasons[i])
			err = -reasons[i];
	answer->text[sizeof(answer->text) - 1] = 0;
	for (char *c = answer->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return error_set(err, "the server refused: %s", answer->text);
}

static int take_welcome(const struct wire_message *answer, struct platform_parcel *parcel,
			const struct peal_options *options, struct link_plan *plan)
{
	const struct platform_credentials *who = &parcel->credentials;

	if (answer->type != WIRE_WELCOME)
		return error_set(-EPROTO, "the server answered with a message of type %u",
				 answer->type);
	/* Not by the socket: it shows who called listen, and may have been inherited since. */
	if (!parcel->has_credentials || !wire_allows(options, who, -1))
		return error_set(
			-EPERM,
			"the server is run by user %u (pid %lld), whom options.allow does not accept",
			who->uid, (long long)who->pid);
	plan->peer = (struct peal_peer){ .pid = who->pid, .uid = who->uid, .gid = who->gid };
	return wire_adopt(answer, parcel, options, plan);
}

int peal_connect(struct peal_link **link, const char *address, const struct peal_options *given,
		 int64_t timeout)
{
	struct peal_options options;
	struct wire_message message;
	struct platform_parcel parcel = { .count = 0 }, received = { .count = 0 };
	struct link_plan plan = { .fd = -1, .own_eventfd = -1, .peer_eventfd = -1, .role = 0 };
	struct opening opening;
	uint64_t now = platform_now();
	uint64_t deadline = timeout < 0 || (uint64_t)timeout > UINT64_MAX - now ?
				    UINT64_MAX :
				    now + (uint64_t)timeout;
	int err = options_take(&options, given);

	*link = NULL;
	if (!err)
		err = address_check(address);
	if (err)
		return err;
	err = open_socket(&opening);
	if (err)
		goto fail;
	plan.fd = opening.fd;
	err = reach(plan.fd, address, deadline, timeout);
	if (err)
		goto fail;
	err = segment_create(&plan.own, options.ring, options.flags & PEAL_PREFAULT,
			     options_asleep_word(&options), &parcel.fd[0]);
	if (err)
		goto fail;
	parcel.count = 1;
	wire_fill(&message, WIRE_HELLO, &options,
		  options.max_message ? options.max_message : CAPACITY_MAX, &plan, &parcel);
	err = say_hello(plan.fd, &message, &parcel, deadline, timeout);
	/* Only now: asked for earlier it would give the socket a name. The server's answer carries its
	 * credentials in any case. */
	if (!err)
		err = platform_want_credentials(plan.fd);
	if (!err)
		err = hear_answer(plan.fd, &message, &received, deadline, timeout);
	if (!err && message.type == WIRE_REFUSE)
		err = take_refusal(&message);
	if (!err)
		err = take_welcome(&message, &received, &options, &plan);
	wire_close_parcel(&received, !err);
	if (!err)
		err = link_create(link, &plan, &options);
	if (err)
		goto fail;
	platform_close(parcel.fd[0]);
	end_opening(&opening, true);
	return 0;
fail:
	platform_close(plan.peer_eventfd);
	segment_destroy(&plan.theirs);
	segment_destroy(&plan.own);
	platform_close(plan.own_eventfd);
	if (parcel.count)
		platform_close(parcel.fd[0]);
	end_opening(&opening, false);
	return err;
}
