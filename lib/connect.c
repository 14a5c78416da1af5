/*
 * SPDX-License-Identifier: MIT
 *
 * The client's side of a handshake: in steps that never wait, and all of them within a caller's
 * timeout.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/connect.h"
#include "lib/error.h"
#include "lib/large.h"
#include "lib/options.h"
#include "lib/probe.h"

/* What passes by itself, and what helps against it. */
struct shortage {
	const char *what, *mend;
};

static void orphan(struct handle *handle)
{
	struct opening *opening = (struct opening *)(void *)((char *)handle -
							     offsetof(struct opening, handle));

	platform_close(opening->fd);
	platform_close(opening->plan.own_eventfd);
	opening->fd = opening->plan.own_eventfd = -1;
	segment_close_descriptors(&opening->plan.own);
	opening->stale = true;
}

static int open_socket(struct opening *opening)
{
	const struct address *address = &opening->address;
	int err = 0;

	opening->handle.orphan = orphan;
	registry_lock();
	registry_add(&opening->handle);
	if (address->fd >= 0)
		err = address_adopt(address, false);
	if (!err)
		opening->fd = address->fd >= 0 ? address->fd : platform_socket();
	registry_unlock();
	if (!err && opening->fd < 0)
		err = error_set(opening->fd, "no socket to connect to %s (errno %d): %s",
				address->shown, -opening->fd,
				error_mend(opening->fd,
					   "raise the limit of descriptors (ulimit -n)"));
	return err;
}

/* close: nobody else has the socket now. */
static void end_opening(struct opening *opening, bool close)
{
	registry_lock();
	registry_remove(&opening->handle);
	if (close)
		platform_close_socket(opening->fd);
	opening->fd = -1;
	registry_unlock();
	opening->stage = OPENING_NEW;
}

/* A pause between tries, in ns, random in its upper half so that clients do not march in step. */
static uint64_t jitter(unsigned try)
{
	uint64_t longest = (uint64_t)50000 << (try < 10 ? try : 10);

	/* The low bits of the counter are as random as this needs. */
	return longest / 2 + arch_ticks() % (longest / 2);
}

static const struct shortage full_backlog = {
	"the server's backlog is full", "raise options.backlog and net.core.somaxconn there"
};
static const struct shortage our_descriptors = {
	"too many descriptors of this user's are under way", "raise the limit here (ulimit -n)"
};
static const struct shortage their_descriptors = {
	"too many descriptors of the server's user are under way",
	"raise the limit there (ulimit -n)"
};
static const struct shortage no_room = {
	"there is no room yet for a monitor",
	"see whether the server is out of descriptors or memory, or full and slow"
};
static const struct shortage no_memory = { "the system has no memory for a handshake",
					   "free some" };

/* There is another try to make in a while. */
static int pause_for(struct opening *opening, const struct shortage *shortage)
{
	opening->shortage = shortage;
	opening->pause = jitter(opening->tries++);
	return 1;
}

static int say_connect_error(int err, const struct address *place)
{
	const char *address = place->shown;
	int kind;

	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		if (place->form == ADDRESS_PATH && platform_folder(place->where))
			return error_set(-ENOENT,
					 "no folder for the address %s: see which the server has",
					 address);
		return error_set(
			-ECONNREFUSED,
			"no server at %s: nothing there; start it, or see which address it has",
			address);
	case -ECONNREFUSED:
		if (!address_is_file(place))
			return error_set(
				err,
				"no server at %s: nothing there, in this network namespace; start it, or see which address it has",
				address);
		kind = platform_kind(place->where, true);
		if (kind > PLATFORM_SOCKET)
			return error_set(
				err,
				"no server at %s: that is a %s and no socket; see which address the server has",
				address, address_kind(kind));
		return error_set(
			err,
			"no server at %s: the socket is left from one that has ended; start it again",
			address);
	case -EACCES:
	case -EPERM:
		return error_set(-EACCES, "no permission to connect to %s (errno %d): %s", address,
				 -err,
				 error_mend(err, "see the mode of the socket and its folders"));
	case -EPROTOTYPE:
		return error_set(
			err,
			"%s is a socket of another type: whoever listens there does not speak Peal; see which address the server has",
			address);
	default:
		return error_set(err, "connecting to %s failed (errno %d): %s", address, -err,
				 error_mend(err, "see connect(2)"));
	}
}

static int reach(struct opening *opening)
{
	int err = platform_connect(opening->fd, opening->address.where);

	if (err == -EAGAIN || err == -EINTR)
		return pause_for(opening, &full_backlog);
	return err ? say_connect_error(err, &opening->address) : 0;
}

/* No server has been found there. */
static bool is_nothing(int err)
{
	return err == -ECONNREFUSED || err == -ENOENT;
}

/*
 * By name: in our own folder, then in the other. Where a socket does not let us in, or is none of
 * Peal's, the other is looked at as well: of what was found in vain both are told, and so nobody
 * mistakes a stale socket of one's own for the system's server.
 */
static int reach_name(struct opening *opening)
{
	bool system = platform_uid() == 0;
	char sentences[2][256];
	int err[2];

	for (int i = 0; i < 2; i++) {
		err[i] = address_place(&opening->address, system != i, false);
		if (!err[i])
			err[i] = reach(opening);
		if (err[i] >= 0)
			return err[i];
		snprintf(sentences[i], sizeof(sentences[i]), "%s", peal_error());
	}
	if (is_nothing(err[0]))
		err[0] = is_nothing(err[1]) ? -ECONNREFUSED : err[1];
	return error_set(err[0], "the name \"%s\" leads to nobody: %s. And %s",
			 opening->address.name, sentences[0], sentences[1]);
}

/* Makes what is handed over, and says so. */
static int prepare_hello(struct opening *opening)
{
	int err;

	if (opening->monitor) {
		wire_begin(&opening->hello, WIRE_HELLO, WIRE_MONITOR, &opening->options);
		opening->hello.stats_first = opening->stats_first;
		opening->parcel.count = 0;
		return 0;
	}
	err = segment_create(&opening->plan.own, &opening->options,
			     options_asleep_word(&opening->options));
	if (!err)
		wire_fill(&opening->hello, WIRE_HELLO, &opening->options,
			  opening->options.max_message, &opening->plan, &opening->parcel);
	return err;
}

static int say_hello(struct opening *opening)
{
	int err = platform_send(opening->fd, &opening->hello, sizeof(opening->hello),
				&opening->parcel);

	if (err == -ETOOMANYREFS)
		return pause_for(opening, &our_descriptors);
	if (err == -EAGAIN || err == -EINTR || err == -ENOBUFS)
		return pause_for(opening, &no_memory);
	if (err && err != -EPIPE && err != -ECONNRESET) /* a refusal may wait to be read */
		return error_set(err,
				 "the handshake with %s could not be sent (sendmsg, errno %d): %s",
				 opening->address.shown, -err, error_mend(err, "see sendmsg(2)"));
	registry_lock();
	segment_close_descriptors(&opening->plan.own);
	registry_unlock();
	/* Only now: asked for earlier it would give the socket a name. The server's answer carries
	 * its credentials in any case. */
	err = platform_want_credentials(opening->fd);
	if (err)
		return error_set(
			err, "who the server at %s is cannot be asked (setsockopt, errno %d): %s",
			opening->address.shown, -err, error_mend(err, "see unix(7)"));
	return 0;
}

/* 0: it is there, or an end or an error; 1: not yet. */
static int hear_answer(struct opening *opening, struct wire_message *answer,
		       struct platform_parcel *parcel)
{
	int64_t length = platform_receive(opening->fd, answer, sizeof(*answer), parcel);

	if (length > 0)
		return wire_check_version(answer, length);
	if (length == -EAGAIN || length == -EINTR)
		return 1;
	if (length == 0 || length == -ECONNRESET)
		return error_set(
			-ECONNRESET,
			"the server at %s went away during the handshake: connect again when it is back",
			opening->address.shown);
	if (length == -EPROTO)
		return error_set(
			-EPROTO,
			"the answer of the server at %s came with more descriptors than are right, %d: update it",
			opening->address.shown, opening->monitor ? PLATFORM_DESCRIPTORS : 3);
	if (length == -EMFILE)
		return error_set(
			-EMFILE,
			"no descriptors are free for the answer of the server at %s: raise the limit (ulimit -n)",
			opening->address.shown);
	return error_set((int)length,
			 "the answer of the server at %s could not be read (recvmsg, errno %d): %s",
			 opening->address.shown, (int)-length,
			 error_mend((int)length, "see recvmsg(2)"));
}

/* What the server refused, as our own error. */
static int take_refusal(struct wire_message *answer)
{
	static const int reasons[] = { EPERM, EPROTONOSUPPORT, EPROTOTYPE, E2BIG,
				       EBUSY, ETIMEDOUT,       EOPNOTSUPP, ETOOMANYREFS };
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

/*
 * Whether we accept who has answered. Not by the socket: it shows who called listen, and may have
 * been inherited since. But an answer that nobody vouches for looks as if user and group were those
 * who have no number: that is believed only of a socket that is theirs as well. 1, 0, or an errno
 * with its sentence.
 */
static int accepts(int fd, const struct platform_parcel *parcel, const struct peal_options *options)
{
	struct platform_credentials listens;

	if (options->allow == PEAL_ALLOW_ANYONE)
		return 1;
	if (!parcel->has_credentials)
		return 0;
	if (!platform_is_somebody(&parcel->credentials) &&
	    (platform_peer(fd, &listens) || listens.uid != parcel->credentials.uid))
		return 0;
	return wire_allows(options, &parcel->credentials, -1);
}

static int take_welcome(int fd, const struct wire_message *answer, struct platform_parcel *parcel,
			const struct peal_options *options, struct link_plan *plan)
{
	const struct platform_credentials *who = &parcel->credentials;
	int accepted = accepts(fd, parcel, options);

	if (accepted < 0)
		return accepted;
	if (!accepted)
		return error_set(
			-EPERM,
			"the server is run by user %u (pid %lld), whom options.allow does not accept",
			who->uid, (long long)who->pid);
	plan->peer = (struct peal_peer){ .pid = who->pid, .uid = who->uid, .gid = who->gid };
	return wire_adopt(answer, parcel, options, plan);
}

/* What was made for a link that does not come about. */
static void drop(struct link_plan *plan, bool stale)
{
	segment_close_descriptors(&plan->own);
	platform_close(plan->own_eventfd);
	platform_close(plan->peer_eventfd);
	plan->own_eventfd = plan->peer_eventfd = -1;
	if (stale)
		return; /* the mappings did not come along */
	large_take_down(&plan->join);
	segment_destroy(&plan->theirs);
	segment_destroy(&plan->own);
}

void opening_drop(struct opening *opening)
{
	if (opening->stage == OPENING_NEW)
		return;
	/* What the caller brought is still the caller's. */
	end_opening(opening, opening->address.fd < 0);
	drop(&opening->plan, opening->stale);
}

/* Errors of what the server says: whether it broke the protocol. */
static int note_violation(int err)
{
	if (err == -EPROTO)
		probe_violation(NULL, 0, peal_error());
	return err;
}

/* What the server answers: 0: a WELCOME, with what came along; 1: nothing yet, or another try is to
 * be made; or an error. */
static int take_answer(struct opening *opening, struct wire_message *answer,
		       struct platform_parcel *received)
{
	int err = note_violation(hear_answer(opening, answer, received));

	if (!err && answer->type == WIRE_REFUSE)
		err = take_refusal(answer);
	else if (!err && answer->type != WIRE_WELCOME)
		err = note_violation(error_set(
			-EPROTO,
			"the server answered with a message of type %u, where %d is right: update it",
			answer->type, WIRE_WELCOME));
	if (err)
		wire_close_parcel(received);
	/* It could not send its answer yet, or has refused whom it took for a client. */
	if (err == -ETOOMANYREFS || (err == -EBUSY && opening->monitor)) {
		if (opening->address.fd >= 0)
			return -EBUSY; /* a socket that the caller has brought is good for one */
		opening_drop(opening); /* and so is a segment */
		return pause_for(opening, err == -EBUSY ? &no_room : &their_descriptors);
	}
	return err;
}

/* The link that comes of the server's answer. */
static int conclude(struct opening *opening, struct peal_link **link)
{
	struct platform_parcel received;
	struct wire_message answer;
	int err = take_answer(opening, &answer, &received);

	if (err)
		return err;
	err = note_violation(
		take_welcome(opening->fd, &answer, &received, &opening->options, &opening->plan));
	wire_close_parcel(&received);
	opening->plan.fd = opening->fd;
	if (!err)
		err = link_create(link, &opening->plan, &opening->options);
	if (!err)
		end_opening(opening, false);
	return err;
}

int opening_prepare(struct opening *opening, const char *address,
		    const struct peal_options *options)
{
	int err;

	*opening = (struct opening){ .fd = -1 };
	err = options_take(&opening->options, options);
	if (!err)
		err = address_parse(&opening->address, address);
	if (!err && opening->address.form == ADDRESS_SYSTEMD)
		err = error_set(
			-EINVAL,
			"%s is an address for servers: pass what its .socket unit says behind ListenSequentialPacket=",
			opening->address.shown);
	if (!err && !opening->options.max_message)
		opening->options.max_message = options_client_message(&opening->options);
	return err;
}

/* As far as to the answer. */
static int advance(struct opening *opening)
{
	enum address_form form = opening->address.form;
	int err = 0;

	opening->pause = 0;
	if (opening->stage == OPENING_NEW) {
		opening->stage = OPENING_REACH;
		opening->plan = (struct link_plan){ .fd = -1,
						    .own_eventfd = -1,
						    .peer_eventfd = -1 };
		/* The segment first: a server need not wait for HELLO then, nor keep a seat for
		 * us. */
		err = prepare_hello(opening);
		if (!err)
			err = open_socket(opening);
	}
	if (!err && opening->stage == OPENING_REACH) {
		if (opening->address.fd < 0)
			err = form == ADDRESS_NAME ? reach_name(opening) : reach(opening);
		if (!err)
			opening->stage = OPENING_HELLO;
	}
	if (!err && opening->stage == OPENING_HELLO) {
		err = say_hello(opening);
		if (!err)
			opening->stage = OPENING_ANSWER;
	}
	return err;
}

int opening_step(struct opening *opening, struct peal_link **link)
{
	int err = advance(opening);

	*link = NULL;
	if (!err)
		err = conclude(opening, link);
	if (err < 0)
		opening_drop(opening);
	return err;
}

int opening_look(struct opening *opening, struct wire_message *answer,
		 struct platform_parcel *received)
{
	int err = advance(opening);

	if (!err)
		err = take_answer(opening, answer, received);
	if (!err) {
		/* What the caller brought is still the caller's. */
		end_opening(opening, opening->address.fd < 0);
		opening->tries = 0;
		opening->shortage = NULL;
	}
	if (err < 0)
		opening_drop(opening);
	return err;
}

/* The sentence of a timeout that was not enough. */
static int say_late(const struct opening *opening, int64_t timeout)
{
	const struct shortage *shortage = opening->shortage;
	const char *address = opening->address.shown;

	if (timeout == 0 && opening->pause)
		return error_set(-EAGAIN, "%s at %s, and the timeout is 0: pass one, or %s",
				 shortage->what, address, shortage->mend);
	if (timeout == 0)
		return error_set(
			-EAGAIN,
			"the server at %s has not answered yet, and the timeout is 0: pass one",
			address);
	if (opening->pause || shortage == &their_descriptors)
		return error_set(-ETIMEDOUT, "%s at %s, for all of the timeout of %lld ns: %s",
				 shortage->what, address, (long long)timeout, shortage->mend);
	return error_set(
		-ETIMEDOUT,
		"the server at %s did not answer within the timeout of %lld ns: pass a longer one, or see why it does not accept",
		address, (long long)timeout);
}

int opening_wait(const struct opening *opening, int64_t timeout, uint64_t deadline)
{
	uint64_t now = platform_now();

	if (timeout == 0 || now >= deadline)
		return say_late(opening, timeout);
	if (!opening->pause)
		platform_poll(opening->fd, false, timeout < 0 ? -1 : (int64_t)(deadline - now));
	else if (opening->pause < deadline - now)
		platform_sleep(opening->pause);
	else
		platform_sleep(deadline - now);
	return 0;
}

int peal_connect(struct peal_link **link, const char *address, const struct peal_options *options,
		 int64_t timeout)
{
	uint64_t deadline = platform_deadline(platform_now(), timeout);
	struct opening opening;
	int err = opening_prepare(&opening, address, options);

	*link = NULL;
	if (err)
		return err;
	while ((err = opening_step(&opening, link)) > 0) {
		err = opening_wait(&opening, timeout, deadline);
		if (err) {
			opening_drop(&opening);
			break;
		}
	}
	return err;
}
