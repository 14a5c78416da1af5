/*
 * SPDX-License-Identifier: MIT
 *
 * The server's side of a handshake: a listener keeps every client whose HELLO has not come yet in
 * a list with a deadline, so that one that stalls delays nobody.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/handshake.h"
#include "lib/options.h"

/* Clients between connect and HELLO. When all places are taken, the one that has been slowest
 * makes room. */
#define GUESTS 64

struct guest {
	int fd; /* -1: none */
	uint64_t deadline;
	struct platform_credentials who;
};

struct peal_listener {
	struct handle handle;
	struct peal_options options;
	char name[64];
	char path[112];
	struct platform_identity socket; /* what we bound */
	int fd, lock, poller;
	int reserve; /* given up to tell a newcomer that descriptors have run out */
	bool stale;
	unsigned next; /* guest to look at first, for fairness */
	struct guest guests[GUESTS];
};

static void close_all(struct peal_listener *listener)
{
	for (unsigned i = 0; i < GUESTS; i++)
		platform_close(listener->guests[i].fd);
	platform_close(listener->poller);
	platform_close(listener->reserve);
	platform_close(listener->fd);
	platform_close(listener->lock);
}

static void orphan(struct handle *handle)
{
	struct peal_listener *listener =
		(struct peal_listener *)(void *)((char *)handle -
						 offsetof(struct peal_listener, handle));

	close_all(listener);
	listener->stale = true;
}

static int say_listen_error(int err, const char *what, const char *address, int64_t holder)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		return error_set(-ENOENT, "no folder for the address %s: make it first", address);
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return error_set(-EACCES,
				 "no permission to make the %s of %s: see the mode of the folder",
				 what, address);
	case -EADDRINUSE:
		if (holder)
			return error_set(
				err,
				"another server listens at %s (pid %lld): end it or choose another address",
				address, (long long)holder);
		return error_set(err,
				 "another server listens at %s: end it or choose another address",
				 address);
	case -EEXIST:
		return error_set(
			err,
			"the %s of %s is in the way and is no socket: remove it or choose another address",
			what, address);
	default:
		return error_set(err, "the %s of %s failed (errno %d)", what, address, -err);
	}
}

/* The lock first: whoever has it may replace the socket. */
static int claim(struct peal_listener *listener)
{
	char path[sizeof(listener->path) + 8];
	int64_t holder;
	int err;

	snprintf(path, sizeof(path), "%s.lock", listener->path);
	listener->lock = platform_lock(path, &holder);
	if (listener->lock < 0)
		return say_listen_error(listener->lock, "lock file", listener->path, holder);
	err = platform_probe_socket(listener->path);
	if (!err)
		err = platform_remove(listener->path);
	if (err && err != -ENOENT)
		return say_listen_error(err, "socket", listener->path, 0);
	listener->fd = platform_socket();
	if (listener->fd < 0)
		return say_listen_error(listener->fd, "socket", listener->path, 0);
	err = platform_listen(listener->fd, listener->path, listener->options.mode,
			      (int)listener->options.backlog);
	if (err) {
		platform_close(listener->fd);
		listener->fd = -1; /* the name, if there is one, is not ours */
		return say_listen_error(err, "socket", listener->path, 0);
	}
	return platform_identify(listener->path, &listener->socket);
}

int peal_listen(struct peal_listener **made, const char *address, const struct peal_options *given)
{
	struct peal_listener *listener;
	struct peal_options options;
	int err = options_take(&options, given);

	*made = NULL;
	if (!err)
		err = address_check(address);
	if (err)
		return err;
	if (!runtime_get()->memory)
		return error_set(-ENOSYS, "no memory that can be shared safely: %s",
				 runtime_get()->memory_why);
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return error_literal(-ENOMEM, "no memory for a listener");
	listener->options = options;
	options_copy_name(listener->name, options.name);
	listener->options.name = listener->name;
	memcpy(listener->path, address, strlen(address) + 1);
	listener->fd = listener->lock = listener->poller = listener->reserve = -1;
	for (unsigned i = 0; i < GUESTS; i++)
		listener->guests[i].fd = -1;
	err = claim(listener);
	if (err)
		goto fail;
	listener->poller = platform_poller();
	listener->reserve = platform_socket();
	err = listener->poller < 0  ? listener->poller :
	      listener->reserve < 0 ? listener->reserve :
				      0;
	if (!err)
		err = platform_poller_add(listener->poller, listener->fd);
	if (err) {
		error_set(
			err,
			"no descriptor for the listener (errno %d): raise the limit of descriptors",
			-err);
		goto fail;
	}
	listener->handle.orphan = orphan;
	registry_add(&listener->handle);
	*made = listener;
	return 0;
fail:
	if (listener->fd >= 0)
		platform_remove(listener->path);
	close_all(listener);
	free(listener);
	return err;
}

static void drop(struct guest *guest)
{
	platform_close(guest->fd); /* takes it off the poller, too */
	guest->fd = -1;
}

/* A place for a newcomer; the slowest guest loses its own if there is none. */
static struct guest *find_place(struct peal_listener *listener)
{
	struct guest *slowest = &listener->guests[0];

	for (unsigned i = 0; i < GUESTS; i++) {
		if (listener->guests[i].fd < 0)
			return &listener->guests[i];
		if (listener->guests[i].deadline < slowest->deadline)
			slowest = &listener->guests[i];
	}
	wire_refuse(slowest->fd, -ETIMEDOUT,
		    "the server is busy and you were the slowest to say HELLO");
	drop(slowest);
	return slowest;
}

/* Credentials decide before anything is received. */
static bool admit(struct peal_listener *listener, int fd, struct platform_credentials *who)
{
	const struct peal_options *options = &listener->options;
	struct peal_peer peer = { .pid = 0 };
	char sentence[256];

	if (platform_peer(fd, who))
		return false;
	if (wire_allows(options, who, fd))
		return true;
	peer.pid = who->pid;
	peer.uid = who->uid;
	peer.gid = who->gid;
	if (options->admit && options->admit(options->admit_data, &peer))
		return true;
	snprintf(sentence, sizeof(sentence), "user %u (group %u) is not admitted here", who->uid,
		 who->gid);
	wire_refuse(fd, -EPERM, sentence);
	log_line(LOG_INFO, "%s: refused pid %lld: %s", listener->path, (long long)who->pid,
		 sentence);
	return false;
}

/* Out of descriptors: gives one up to take the newcomer in, tell it, and see it off. */
static void turn_away(struct peal_listener *listener)
{
	int fd;

	platform_close(listener->reserve);
	fd = platform_accept(listener->fd);
	if (fd >= 0) {
		wire_refuse(fd, -EBUSY,
			    "the server is out of descriptors: raise its limit (nofile)");
		platform_close(fd);
	}
	listener->reserve = platform_socket();
}

/* Takes in who knocks. 0, -EAGAIN: nobody; -EMFILE, -ENFILE: turned away. */
static int greet(struct peal_listener *listener)
{
	struct platform_credentials who;
	struct guest *guest;
	int fd = platform_accept(listener->fd);

	if (fd == -EMFILE || fd == -ENFILE) {
		turn_away(listener);
		return fd;
	}
	if (fd == -EAGAIN)
		return fd;
	if (fd < 0)
		return 0; /* it gave up already */
	if (!admit(listener, fd, &who)) {
		platform_close(fd);
		return 0;
	}
	guest = find_place(listener);
	if (platform_poller_add(listener->poller, fd)) {
		wire_refuse(fd, -EBUSY, "the server is out of memory");
		platform_close(fd);
		return 0;
	}
	*guest = (struct guest){ .fd = fd,
				 .deadline = platform_now() + listener->options.handshake_ns,
				 .who = who };
	return 0;
}

/* Makes a link of a HELLO. 0 or an errno with its sentence; the guest's socket is the link's then. */
static int welcome(struct peal_listener *listener, struct guest *guest,
		   const struct wire_message *hello, const struct platform_parcel *parcel,
		   struct peal_link **link)
{
	const struct peal_options *options = &listener->options;
	struct link_plan plan = { .fd = guest->fd, .role = 1 };
	struct platform_parcel ours = { .count = 0 };
	struct wire_message answer;
	int err;

	if (hello->type != WIRE_HELLO)
		return error_set(-EPROTO, "a handshake that begins with a message of type %u",
				 hello->type);
	if (hello->kind != WIRE_LINK)
		return error_set(-EOPNOTSUPP, "this server serves no connections of kind %u",
				 hello->kind);
	plan.peer = (struct peal_peer){ .pid = guest->who.pid,
					.uid = guest->who.uid,
					.gid = guest->who.gid };
	err = wire_adopt(hello, parcel, options, &plan);
	if (!err)
		err = segment_create(&plan.own, options->ring, options->flags & PEAL_PREFAULT,
				     options_asleep_word(options), &ours.fd[0]);
	if (err)
		goto fail;
	ours.count = 1;
	wire_fill(&answer, WIRE_WELCOME, options, &plan.own,
		  options->max_message ? options->max_message : CAPACITY_MAX);
	err = link_create(link, &plan, options);
	if (err)
		goto fail;
	err = platform_send(guest->fd, &answer, sizeof(answer), &ours);
	wire_close_parcel(&ours, true);
	if (err) {
		/* The link owns everything by now, the socket too. */
		guest->fd = -1;
		peal_close(*link);
		*link = NULL;
		return error_set(err, "the answer could not be sent (errno %d)", -err);
	}
	guest->fd = -1;
	return 0;
fail:
	wire_close_parcel(&ours, true);
	segment_destroy(&plan.own);
	segment_destroy(&plan.theirs);
	return err;
}

/* Hears a guest out. 0: *link is made; -EAGAIN: it has not said anything yet; else it is gone. */
static int hear(struct peal_listener *listener, struct guest *guest, struct peal_link **link)
{
	struct wire_message hello;
	struct platform_parcel parcel;
	int64_t length = platform_receive(guest->fd, &hello, sizeof(hello), &parcel);
	int err;

	if (length == -EAGAIN || length == -EINTR)
		return -EAGAIN;
	if (length > 0) {
		err = wire_check_version(&hello, length);
		if (!err)
			err = welcome(listener, guest, &hello, &parcel, link);
		wire_close_parcel(&parcel, !err);
		if (!err)
			return 0;
	} else if (length == -EMFILE) {
		err = error_literal(-EMFILE,
				    "the server is out of descriptors: raise its limit (nofile)");
	} else if (length == -EPROTO) {
		err = error_literal(-EPROTO,
				    "the handshake came with more descriptors than a segment's");
	} else {
		err = error_literal(-ECONNRESET, "it went away during the handshake");
	}
	if (guest->fd >= 0) {
		/* What runs short here is not the client's fault. */
		int code = err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOSPC ?
				   -EBUSY :
				   err;

		wire_refuse(guest->fd, code, peal_error());
		drop(guest);
	}
	log_line(LOG_INFO, "%s: refused pid %lld: %s", listener->path, (long long)guest->who.pid,
		 peal_error());
	return err;
}

/* Ends the guests whose time is up; *next is when the next one's is. */
static void expire(struct peal_listener *listener, uint64_t now, uint64_t *next)
{
	*next = UINT64_MAX;
	for (unsigned i = 0; i < GUESTS; i++) {
		struct guest *guest = &listener->guests[i];

		if (guest->fd < 0)
			continue;
		if (guest->deadline <= now) {
			wire_refuse(guest->fd, -ETIMEDOUT, "the handshake took too long");
			drop(guest);
		} else if (guest->deadline < *next) {
			*next = guest->deadline;
		}
	}
}

/* One round over all who may have something to say, newcomers only so many at a time. 0: there may
 * be more, or *link is made; -EAGAIN: nothing to do; -EMFILE, -ENFILE. */
static int serve_guests(struct peal_listener *listener, struct peal_link **link)
{
	int err = 0;

	for (unsigned n = 0; n < GUESTS / 4 && !err; n++)
		err = greet(listener);
	for (unsigned n = 0; n < GUESTS; n++) {
		struct guest *guest = &listener->guests[listener->next++ % GUESTS];

		if (guest->fd >= 0 && hear(listener, guest, link) == 0)
			return 0;
	}
	return err;
}

int peal_accept(struct peal_listener *listener, struct peal_link **link, int64_t timeout)
{
	uint64_t now = platform_now(), next;
	uint64_t deadline = timeout < 0 || (uint64_t)timeout > UINT64_MAX - now ?
				    UINT64_MAX :
				    now + (uint64_t)timeout;
	int err;

	*link = NULL;
	if (listener->stale)
		return error_literal(
			-ESTALE, "this listener is from before a fork: only the parent can use it");
	for (;;) {
		err = serve_guests(listener, link);
		if (*link)
			return 0;
		if (err == -EMFILE || err == -ENFILE)
			return error_set(
				err,
				"out of descriptors: a client was turned away; raise the limit (nofile)");
		if (timeout == 0)
			return error_literal(-EAGAIN, "no client, and the timeout is 0");
		now = platform_now();
		if (now >= deadline)
			return error_literal(-ETIMEDOUT, "no client came until the timeout");
		expire(listener, now, &next);
		if (!err)
			continue;
		if (next > deadline)
			next = deadline;
		platform_poll(listener->poller, false,
			      next == UINT64_MAX ? -1 : (int64_t)(next - now));
	}
}

int peal_listener_fd(const struct peal_listener *listener)
{
	if (listener->stale)
		return error_literal(
			-ESTALE, "this listener is from before a fork: only the parent can use it");
	return listener->poller;
}

void peal_listener_close(struct peal_listener *listener)
{
	struct platform_identity now;

	if (!listener)
		return;
	registry_remove(&listener->handle);
	if (!listener->stale) {
		/* While we have the lock, what we bound is ours to remove. */
		if (!platform_identify(listener->path, &now) &&
		    now.device == listener->socket.device && now.inode == listener->socket.inode)
			platform_remove(listener->path);
		close_all(listener);
	}
	free(listener);
}
