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

#include "lib/admission.h"
#include "lib/claim.h"
#include "lib/error.h"
#include "lib/handshake.h"
#include "lib/large.h"
#include "lib/listen.h"
#include "lib/options.h"
#include "lib/probe.h"
#include "lib/stats.h"

/*
 * Clients between connect and HELLO. When all seats are taken nobody is let in until one is free.
 * Then the slowest of the user who has the most makes room: at once for a user who has fewer, else
 * when it has used up its share of patience.
 */
#define SEATS 256
#define DOOR SEATS /* the place of who has just come in, and mostly has said HELLO already */
#define GUESTS (SEATS + 1)
#define PATIENCE 8 /* parts of handshake_ns */

/* How long nobody is let in for want of a descriptor, at first: as one that is being closed aside
 * mostly takes. */
#define SHUT_NS 1000000u

/* Descriptors that segments made ready leave to others; and segments that are given up at once
 * where there are none: more than a client takes, since each of them has one at least. */
#define LEFT_FREE 32
#define GIVEN_UP 8

static const char out_of_descriptors[] =
	"the server is out of descriptors: raise its limit (ulimit -n), or try again";

/* So many rounds at most with timeout 0; and so many are let in one after the other until those who
 * have a seat are asked. */
#define ROUNDS 16
#define IN_A_ROW 16

/* Keys of the poller besides the guests' indexes. */
#define KEY_KNOCK GUESTS
#define KEY_TIMER (GUESTS + 1)

struct guest {
	int fd; /* -1: none */
	uint64_t since;
	struct platform_credentials who;
	bool counted;   /* it has passed the limits */
	uint32_t mates; /* its user's seats, with its own; 0: it has none */
};

struct peal_listener {
	struct handle handle;
	uint32_t owner; /* debug builds: the thread that is inside a verb */
	struct peal_options options;
	char name[64];
	struct claim claim;
	struct platform_credentials self;
	int poller;
	int timer;      /* wakes who polls when a guest's time is up, or the door is to open */
	int reserve[2]; /* one is given up to tell a newcomer that descriptors have run out; the
			 * other stands in until that one's number is free again */
	bool stale;
	bool shut; /* no place or no descriptor is free: the socket is not polled */
	uint64_t shut_until, shut_ns; /* the last time for how long, if nobody came in since */
	uint64_t timer_at;            /* what the timer is set to; UINT64_MAX: nothing */
	uint64_t due;                 /* no guest's time is up before that */
	bool knocking;                /* the last look at the door was not in vain */
	unsigned in_a_row;
	unsigned seated;
	struct guest guests[GUESTS];
	struct admission admission;
	struct segment *spares; /* that nobody has seen yet */
	uint32_t spare, room;
};

static void close_own(struct peal_listener *listener)
{
	platform_close(listener->poller);
	platform_close(listener->timer);
	platform_close(listener->reserve[0]);
	platform_close(listener->reserve[1]);
	listener->poller = listener->timer = listener->reserve[0] = listener->reserve[1] = -1;
}

static void orphan(struct handle *handle)
{
	struct peal_listener *listener =
		(struct peal_listener *)(void *)((char *)handle -
						 offsetof(struct peal_listener, handle));

	for (unsigned i = 0; i < GUESTS; i++) {
		platform_close(listener->guests[i].fd);
		listener->guests[i].fd = -1;
	}
	close_own(listener);
	claim_forget(&listener->claim);
	for (uint32_t i = 0; i < listener->spare; i++)
		segment_close_descriptors(&listener->spares[i]);
	listener->spare = 0; /* their mappings have stayed with the parent */
	listener->stale = true;
	listener->owner = 0; /* a thread that is no more */
}

/* Takes the address, and makes what a listener waits by. */
static int set_up(struct peal_listener *listener)
{
	int err = claim_take(&listener->claim, &listener->options);

	if (err)
		return err;
	listener->poller = platform_poller();
	listener->timer = platform_timer();
	listener->reserve[0] = platform_socket();
	listener->reserve[1] = platform_socket();
	err = listener->poller < 0     ? listener->poller :
	      listener->timer < 0      ? listener->timer :
	      listener->reserve[1] < 0 ? listener->reserve[1] :
					 0;
	if (err)
		return error_set(
			err,
			"a listener needs 6 descriptors, an epoll and a timerfd among them, and has not got them (errno %d): %s",
			-err, error_mend(err, "raise the limit (ulimit -n)"));
	platform_self(&listener->self);
	/* Those whom it accepts inherit this. A system that has no credentials says so later. */
	platform_want_credentials(listener->claim.fd);
	err = platform_poller_add(listener->poller, listener->claim.fd, KEY_KNOCK);
	if (!err)
		err = platform_poller_add(listener->poller, listener->timer, KEY_TIMER);
	if (err)
		return error_set(err, "a listener cannot be polled (epoll_ctl, errno %d): %s", -err,
				 error_mend(err, "raise fs.epoll.max_user_watches"));
	return 0;
}

int peal_listen(struct peal_listener **made, const char *address, const struct peal_options *given)
{
	struct peal_listener *listener;
	struct peal_options options;
	struct claim claim;
	const char *why;
	int err = options_take(&options, given);

	*made = NULL;
	if (!err)
		err = claim_find(&claim, address, given);
	if (err)
		return err;
	if (!runtime_memory(&why))
		return error_set(-ENOSYS, "no memory that can be shared safely: %s", why);
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return error_set(-ENOMEM, "no memory for a listener of %zu bytes: free some",
				 sizeof(*listener));
	listener->options = options;
	options_copy_name(listener->name, options.name);
	listener->options.name = listener->name;
	listener->claim = claim;
	listener->poller = listener->timer = -1;
	listener->reserve[0] = listener->reserve[1] = -1;
	listener->timer_at = listener->due = UINT64_MAX;
	admission_init(&listener->admission);
	for (unsigned i = 0; i < GUESTS; i++)
		listener->guests[i].fd = -1;
	listener->handle.orphan = orphan;
	registry_lock();
	registry_add(&listener->handle);
	err = set_up(listener);
	if (err) {
		registry_remove(&listener->handle);
		close_own(listener);
		claim_undo(&listener->claim);
	}
	registry_unlock();
	if (err) {
		claim_name_winner(&listener->claim);
		claim_free(&listener->claim);
		free(listener);
	} else {
		*made = listener;
	}
	return err;
}

static void count_mates(struct peal_listener *listener, uint32_t uid, uint32_t mates)
{
	for (unsigned i = 0; i < SEATS; i++)
		if (listener->guests[i].fd >= 0 && listener->guests[i].who.uid == uid)
			listener->guests[i].mates = mates;
}

/* Gives who stands at the door one of the seats, of which there must be one. NULL: no memory. */
static struct guest *seat(struct peal_listener *listener)
{
	struct guest *door = &listener->guests[DOOR], *guest = listener->guests;
	uint64_t end = platform_later(door->since, listener->options.handshake_ns);
	uint32_t mates = 1;

	for (unsigned i = 0; i < SEATS; i++)
		mates += listener->guests[i].fd >= 0 &&
			 listener->guests[i].who.uid == door->who.uid;
	while (guest->fd >= 0)
		guest++;
	if (platform_poller_add(listener->poller, door->fd, (uint32_t)(guest - listener->guests)))
		return NULL;
	registry_lock();
	*guest = *door;
	door->fd = -1;
	registry_unlock();
	count_mates(listener, guest->who.uid, mates);
	listener->seated++;
	if (end < listener->due)
		listener->due = end;
	return guest;
}

/* Takes a guest's seat away, if it has one. Its socket is the caller's. */
static void unseat(struct peal_listener *listener, struct guest *guest)
{
	int fd = guest->fd;

	guest->fd = -1;
	if (!guest->mates)
		return;
	platform_poller_remove(listener->poller, fd);
	count_mates(listener, guest->who.uid, guest->mates - 1);
	guest->mates = 0;
	if (!--listener->seated)
		listener->due = UINT64_MAX;
}

/* The socket goes with it, unread descriptors in it or not. */
static void close_guest(struct peal_listener *listener, struct guest *guest)
{
	int fd = guest->fd;

	registry_lock();
	unseat(listener, guest);
	platform_close_socket(fd);
	registry_unlock();
}

/* Sends a guest away. */
static void see_off(struct peal_listener *listener, struct guest *guest, int err,
		    const char *sentence)
{
	if (err == -EPROTO)
		probe_violation(NULL, guest->who.pid, sentence);
	wire_refuse(guest->fd, err, sentence);
	close_guest(listener, guest);
	if (guest->counted)
		admission_leave(&listener->admission, guest->who.uid);
	log_line(LOG_INFO, "%s: refused pid %lld: %s", listener->claim.address.shown,
		 (long long)guest->who.pid, sentence);
}

void listen_limit(struct peal_listener *listener, const struct listen_limits *limits)
{
	listener->admission.limits = *limits;
}

void listen_forget(struct peal_listener *listener, uint32_t uid)
{
	admission_leave(&listener->admission, uid);
}

uint64_t listen_refused(const struct peal_listener *listener)
{
	/* Pairs with the store in admission_enter: each is whole, no more. */
	return __atomic_load_n(&listener->admission.refused, __ATOMIC_RELAXED);
}

/*
 * Segments that are made ready ahead. One is taken out of the list when a client is about to get
 * it, and never comes back, whatever becomes of that client.
 */

/* With the registry locked: who forks has a look at the list. */
static bool grow_list(struct peal_listener *listener, uint32_t ready)
{
	struct segment *more;

	if (listener->room >= ready)
		return true;
	more = realloc(listener->spares, ready * sizeof(*more));
	if (!more)
		return false;
	listener->spares = more;
	listener->room = ready;
	return true;
}

int listen_prepare(struct peal_listener *listener, uint32_t ready)
{
	struct segment segment;
	bool kept;

	if (listener->stale || listener->spare >= ready)
		return 0;
	if (segment_create(&segment, &listener->options, options_asleep_word(&listener->options)))
		return 0;
	registry_lock();
	/* The lowest free number was taken. */
	kept = segment.fd < platform_descriptors() - LEFT_FREE && grow_list(listener, ready);
	if (kept)
		listener->spares[listener->spare++] = segment;
	registry_unlock();
	if (!kept) {
		segment_close_descriptors(&segment);
		segment_destroy(&segment);
	}
	return kept && listener->spare < ready;
}

static int take_segment(struct peal_listener *listener, struct segment *segment)
{
	const struct peal_options *options = &listener->options;

	if (!listener->spare)
		return segment_create(segment, options, options_asleep_word(options));
	registry_lock();
	*segment = listener->spares[--listener->spare];
	registry_unlock();
	return 0;
}

/* With the registry locked. False: there was none. */
static bool drop_spares(struct peal_listener *listener, uint32_t most)
{
	bool some = listener->spare;

	for (; listener->spare && most; most--) {
		struct segment *segment = &listener->spares[--listener->spare];

		segment_close_descriptors(segment);
		segment_destroy(segment);
	}
	return some;
}

static bool give_up_spares(struct peal_listener *listener)
{
	bool some;

	registry_lock();
	some = drop_spares(listener, GIVEN_UP);
	registry_unlock();
	return some;
}

/* Credentials decide before anything is received. 1, 0, or an errno with its sentence. */
static int admit(const struct peal_listener *listener, const struct guest *guest)
{
	const struct peal_options *options = &listener->options;
	struct peal_peer peer = { .pid = guest->who.pid,
				  .uid = guest->who.uid,
				  .gid = guest->who.gid };

	int allowed = wire_allows(options, &guest->who, guest->fd);

	return allowed > 0 || !options->admit ? allowed :
						options->admit(options->admit_data, &peer) != 0;
}

static int send_answer(struct peal_listener *listener, const struct guest *guest,
		       const struct wire_message *answer, const struct platform_parcel *parcel)
{
	int err = platform_send(guest->fd, answer, sizeof(*answer), parcel);

	if (err == -ETOOMANYREFS)
		error_set(
			err,
			"too many descriptors of this server's user are under way (errno %d): raise its limit (ulimit -n)",
			-err);
	else if (err)
		error_set(err, "the answer could not be sent (sendmsg, errno %d): %s", -err,
			  error_mend(err, "see sendmsg(2)"));
	/* Then no refusal gets out, either, and nobody else is told. */
	if (err == -EPERM || err == -ENOSYS)
		log_line(LOG_WARN, "%s: %s", listener->claim.address.shown, peal_error());
	return err;
}

/* Tells a monitor where the counters are. 0 or an errno with its sentence. */
static int show_counters(struct peal_listener *listener, const struct guest *guest,
			 const struct wire_message *hello, const struct platform_parcel *parcel)
{
	struct platform_parcel ours = { .has_credentials = true, .credentials = listener->self };
	struct wire_message answer;
	struct stats_view view;
	int err = wire_is_own(&guest->who);

	if (err < 0)
		return err;
	if (!err)
		return error_set(
			-EPERM,
			"user %u may not look at the counters of this process: only its own user (%u) and root may",
			guest->who.uid, platform_uid());
	if (parcel->count || hello->descriptors)
		return error_set(
			-EPROTO,
			"a monitor came with %d descriptors (%u by its word), where none are right: update that program",
			parcel->count, hello->descriptors);
	if (hello->needed)
		return error_set(
			-EPROTONOSUPPORT,
			"the monitor needs features 0x%llx, and this side has none for it: use a newer library here",
			(unsigned long long)hello->needed);
	err = stats_look(hello->stats_first, &view);
	if (err)
		return err;
	wire_begin(&answer, WIRE_WELCOME, WIRE_MONITOR, &listener->options);
	answer.stats_first = hello->stats_first;
	answer.stats_objects = view.objects;
	answer.stats_started = view.started_ns;
	answer.descriptors = (uint32_t)view.count;
	ours.count = view.count;
	for (int i = 0; i < view.count; i++) {
		answer.descriptor[i] = WIRE_STATS;
		answer.stats_size[i] = view.size[i];
		ours.fd[i] = view.fd[i];
	}
	answer.stats_now = platform_now();
	return send_answer(listener, guest, &answer, &ours);
}

/* Makes a link of a HELLO. 0 or an errno with its sentence; the guest's socket is the link's
 * then. */
static int welcome(struct peal_listener *listener, struct guest *guest,
		   const struct wire_message *hello, struct platform_parcel *parcel,
		   struct peal_link **link)
{
	const struct peal_options *options = &listener->options;
	struct link_plan plan = {
		.fd = guest->fd, .own_eventfd = -1, .peer_eventfd = -1, .role = 1
	};
	/* As with SO_PEERCRED, who answers is who has begun to listen. */
	struct platform_parcel ours = { .has_credentials = true, .credentials = listener->self };
	struct wire_message answer;
	int err;

	if (hello->kind != WIRE_LINK)
		return error_set(
			-EOPNOTSUPP,
			"this server has no connections of kind %u, only of %d and %d: update the older side",
			hello->kind, WIRE_LINK, WIRE_MONITOR);
	plan.peer = (struct peal_peer){ .pid = guest->who.pid,
					.uid = guest->who.uid,
					.gid = guest->who.gid };
	err = wire_adopt(hello, parcel, options, &plan);
	if (!err)
		err = take_segment(listener, &plan.own);
	if (err)
		goto fail;
	wire_fill(&answer, WIRE_WELCOME, options,
		  options->max_message ? options->max_message : plan.rx_largest, &plan, &ours);
	err = send_answer(listener, guest, &answer, &ours);
	if (err)
		goto fail;
	err = link_create(link, &plan, options);
	if (err)
		goto fail;
	segment_close_descriptors(&plan.own);
	return 0;
fail:
	platform_close(plan.own_eventfd);
	segment_close_descriptors(&plan.own);
	platform_close(plan.peer_eventfd);
	large_take_down(&plan.join);
	segment_destroy(&plan.own);
	segment_destroy(&plan.theirs);
	return err;
}

/* What a guest has said. */
struct word {
	int64_t length; /* or an errno */
	struct wire_message hello;
	struct platform_parcel parcel;
};

static bool listen_to(const struct guest *guest, struct word *word)
{
	word->length = platform_receive(guest->fd, &word->hello, sizeof(word->hello),
					&word->parcel);
	return word->length != -EAGAIN && word->length != -EINTR;
}

static bool is_monitor(const struct word *word)
{
	return word->length == (int64_t)sizeof(word->hello) && word->hello.magic == WIRE_MAGIC &&
	       word->hello.type == WIRE_HELLO && word->hello.kind == WIRE_MONITOR;
}

/* Takes a guest by its word: *link is made, or it is gone. */
static void take_in(struct peal_listener *listener, struct guest *guest, struct word *word,
		    struct peal_link **link)
{
	struct wire_message *hello = &word->hello;
	int64_t length = word->length;
	bool monitor = is_monitor(word);
	int err;

	/* One who may not look has come as any client does, and is not to try without a limit. */
	if (monitor && guest->counted && wire_is_own(&guest->who) > 0) {
		admission_undo(&listener->admission, guest->who.uid);
		guest->counted = false;
	}
	if (length > 0) {
		err = wire_check_version(hello, length);
		if (!err && hello->type != WIRE_HELLO)
			err = error_set(
				-EPROTO,
				"the handshake begins with a message of type %u, where %d is right: update that program",
				hello->type, WIRE_HELLO);
		if (!err)
			err = monitor ? show_counters(listener, guest, hello, &word->parcel) :
					welcome(listener, guest, hello, &word->parcel, link);
	} else if (length == -EMFILE) {
		give_up_spares(listener); /* for the next one: this one's are lost */
		err = error_literal(-EMFILE, out_of_descriptors);
	} else if (length == -EPROTO) {
		err = error_set(
			-EPROTO,
			"the handshake came with more descriptors than %d, where at most 3 are right: update that program",
			PLATFORM_DESCRIPTORS);
	} else if (length == 0 || length == -ECONNRESET) {
		err = error_literal(-ECONNRESET, "it went away during the handshake");
	} else {
		err = error_set((int)length,
				"the handshake could not be read (recvmsg, errno %d): %s",
				(int)-length, error_mend((int)length, "see recvmsg(2)"));
	}
	wire_close_parcel(&word->parcel);
	if (err) {
		/* What runs short here is not the client's fault. (-ETOOMANYREFS: it tries
		 * again.) */
		bool ours = err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOSPC;

		see_off(listener, guest, ours ? -EBUSY : err, peal_error());
	} else if (monitor) {
		close_guest(listener, guest); /* what it is to know is on its way */
	} else {
		/* The link has the socket now; its hang-up is nothing to the listener. */
		unseat(listener, guest);
	}
}

/* Hears a guest. False: it has not said anything yet; else *link is made, or it is gone. */
static bool hear(struct peal_listener *listener, struct guest *guest, struct peal_link **link)
{
	struct word word;

	if (!listen_to(guest, &word))
		return false;
	take_in(listener, guest, &word, link);
	return true;
}

/* No one is let in before then, nor while all seats are taken. */
static void shut(struct peal_listener *listener, uint64_t until)
{
	platform_poller_remove(listener->poller, listener->claim.fd);
	listener->shut = true;
	listener->shut_until = until;
}

static void shut_for_a_while(struct peal_listener *listener)
{
	uint64_t most = listener->options.handshake_ns / PATIENCE;

	listener->shut_ns = listener->shut_ns ? 2 * listener->shut_ns : SHUT_NS;
	if (listener->shut_ns > most)
		listener->shut_ns = most;
	shut(listener, platform_later(platform_now(), listener->shut_ns));
}

static void fill_reserves(struct peal_listener *listener)
{
	for (int i = 0; i < 2; i++)
		if (listener->reserve[i] < 0)
			listener->reserve[i] = platform_socket();
}

/* Errors of accept that the newcomer cannot help. */
static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS;
}

/* Out of descriptors: gives one up to take the newcomer in, tell it, and see it off. Without one to
 * give up, the newcomer waits outside. */
static void turn_away(struct peal_listener *listener)
{
	int fd, i;

	registry_lock();
	fill_reserves(listener);
	i = listener->reserve[0] < 0;
	platform_close(listener->reserve[i]);
	listener->reserve[i] = -1;
	fd = platform_accept(listener->claim.fd);
	if (fd >= 0) {
		wire_refuse(fd, -EBUSY, out_of_descriptors);
		platform_close_socket(fd);
	}
	fill_reserves(listener);
	registry_unlock();
	if (fd < 0)
		shut_for_a_while(listener);
	else
		listener->shut_ns = 0;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The slowest of the user who has the most seats; NULL: none is taken. */
static struct guest *find_slowest(struct peal_listener *listener)
{
	struct guest *slowest = NULL;

	for (struct guest *guest = listener->guests; guest < &listener->guests[SEATS]; guest++)
		if (guest->fd >= 0 &&
		    (!slowest || guest->mates > slowest->mates ||
		     (guest->mates == slowest->mates && guest->since < slowest->since)))
			slowest = guest;
	return slowest;
}

static void see_off_slowest(struct peal_listener *listener, struct guest *slowest)
{
	char sentence[160];

	snprintf(
		sentence, sizeof(sentence),
		"the server is busy with %u handshakes, %u of them of user %u, can have no more, and this was the slowest: try again",
		listener->seated, slowest->mates, slowest->who.uid);
	see_off(listener, slowest, -ETIMEDOUT, sentence);
}

/* Sees the slowest guest off if it has used up its patience. Else false, and *next is when it will
 * have, unless that is later. */
static bool make_room(struct peal_listener *listener, uint64_t now, uint64_t *next)
{
	uint64_t patience = listener->options.handshake_ns / PATIENCE;
	struct guest *slowest = find_slowest(listener);

	if (!slowest)
		return false;
	if (now - slowest->since < patience) {
		*next = sooner(*next, platform_later(slowest->since, patience));
		return false;
	}
	see_off_slowest(listener, slowest);
	return true;
}

/*
 * Takes in who knocks. 0: somebody, perhaps *link; -EAGAIN: nobody, or the door is shut now; a
 * shortage: turned away, or left outside; another errno: the listening socket is not what it
 * was. sure: somebody does knock. Else nothing is done about a shortage, which there is then
 * whether somebody knocks or not.
 */
static int greet(struct peal_listener *listener, bool sure, struct peal_link **link)
{
	struct guest *guest = &listener->guests[DOOR];
	struct guest *seated, *slowest;
	uint64_t unused = 0;
	char sentence[192];
	struct word word;
	bool own, heard;
	int err;

	registry_lock();
	guest->fd = platform_accept(listener->claim.fd);
	registry_unlock();
	if (guest->fd < 0) {
		err = guest->fd;
		guest->fd = -1;
		if (is_shortage(err) && sure) {
			/* What nobody has yet gives its descriptors to one who is here; so does who
			 * says nothing. */
			if (give_up_spares(listener) ||
			    make_room(listener, platform_now(), &unused))
				return 0;
			turn_away(listener);
		}
		return err == -ECONNABORTED || err == -EINTR || err == -EPROTO ? 0 : err;
	}
	listener->shut_ns = 0;
	guest->since = platform_now();
	guest->counted = false;
	guest->mates = 0;
	guest->who = (struct platform_credentials){ .pid = 0,
						    .uid = UINT32_MAX,
						    .gid = UINT32_MAX };
	err = platform_peer(guest->fd, &guest->who);
	if (err) {
		snprintf(sentence, sizeof(sentence),
			 "who its clients are the server cannot tell (getsockopt, errno %d): %s",
			 -err, error_mend(err, "see unix(7)"));
		see_off(listener, guest, -EPERM, sentence);
		return 0;
	}
	err = admit(listener, guest);
	if (err < 0) {
		/* What may pass is worth another try. */
		see_off(listener, guest, err == -EPERM ? err : -EBUSY, peal_error());
		return 0;
	}
	if (!err) {
		snprintf(sentence, sizeof(sentence),
			 "user %u (group %u) is not admitted here: see options.allow of the server",
			 guest->who.uid, guest->who.gid);
		see_off(listener, guest, -EPERM, sentence);
		return 0;
	}
	/* The limits are for clients: who looks after a server has to see it when it is full, too.
	 * Of others nothing is received before they have passed. */
	own = wire_is_own(&guest->who) > 0;
	heard = own && listen_to(guest, &word);
	if (!heard || !is_monitor(&word)) {
		err = admission_enter(&listener->admission, guest->who.uid, guest->since);
		if (err) {
			if (heard)
				wire_close_parcel(&word.parcel);
			see_off(listener, guest, err, peal_error());
			return 0;
		}
		guest->counted = true;
	}
	/* Most have said HELLO by now. */
	if (heard || (!own && listen_to(guest, &word))) {
		take_in(listener, guest, &word, link);
		return 0;
	}
	seated = seat(listener);
	if (!seated)
		see_off(listener, guest, -EBUSY,
			"the server is out of memory to poll another client: free some there, or try again");
	if (!seated || listener->seated < SEATS)
		return 0;
	slowest = find_slowest(listener);
	if (slowest->mates > seated->mates) {
		see_off_slowest(listener, slowest);
		return 0;
	}
	shut(listener, 0);
	return -EAGAIN;
}

static void set_timer(struct peal_listener *listener, uint64_t now, uint64_t next)
{
	listener->timer_at = next;
	platform_timer_set(listener->timer, next == UINT64_MAX ? 0 : next > now ? next - now : 1);
}

/* Ends the guests whose time is up. */
static void end_overdue(struct peal_listener *listener, uint64_t now)
{
	uint64_t allowed = listener->options.handshake_ns, due = UINT64_MAX;
	char sentence[128];

	for (struct guest *guest = listener->guests; guest < &listener->guests[SEATS]; guest++) {
		uint64_t end = platform_later(guest->since, allowed);

		if (guest->fd < 0)
			continue;
		if (now >= end) {
			snprintf(
				sentence, sizeof(sentence),
				"the handshake took too long: %llu ns is the limit (options.handshake_ns)",
				(unsigned long long)allowed);
			see_off(listener, guest, -ETIMEDOUT, sentence);
		} else if (end < due) {
			due = end;
		}
	}
	listener->due = due;
}

/* Ends the guests whose time is up, and when no seat is free the slowest that has used up its
 * patience; opens the door when one is. *next is when to come again. */
static void expire(struct peal_listener *listener, uint64_t now, uint64_t *next)
{
	uint64_t patience = listener->options.handshake_ns / PATIENCE;

	if (now >= listener->timer_at)
		set_timer(listener, now, UINT64_MAX); /* it polls readable no more */
	if (now >= listener->due)
		end_overdue(listener, now);
	*next = listener->due;
	if (listener->seated == SEATS)
		make_room(listener, now, next);
	if (!listener->shut)
		return;
	if (listener->seated < SEATS && now >= listener->shut_until)
		listener->shut = platform_poller_add(listener->poller, listener->claim.fd,
						     KEY_KNOCK) != 0;
	if (listener->shut && listener->seated < SEATS)
		*next = sooner(*next, listener->shut_until > now ? listener->shut_until :
								   platform_later(now, patience));
}

/* One round over all who may have something to say. 0: there may be more, or *link is made;
 * -EAGAIN: nothing to do; or what greet() says. */
static int serve(struct peal_listener *listener, struct peal_link **link)
{
	uint32_t keys[16];
	int err, count;

	/* While they come, and while nobody has a seat, the door alone is worth a look. */
	if (!listener->shut &&
	    (!listener->seated || (listener->knocking && ++listener->in_a_row < IN_A_ROW))) {
		err = greet(listener, false, link);
		listener->knocking = !err;
		if (!is_shortage(err) && (err != -EAGAIN || !listener->seated))
			return err;
	}
	listener->in_a_row = 0;
	count = platform_poller_ready(listener->poller, keys, 16);
	if (count <= 0)
		return count ? count : -EAGAIN;
	for (int i = 0; i < count && !*link; i++) {
		if (keys[i] < SEATS) {
			if (listener->guests[keys[i]].fd >= 0)
				hear(listener, &listener->guests[keys[i]], link);
		} else if (keys[i] == KEY_KNOCK && !listener->shut) {
			err = greet(listener, true, link);
			listener->knocking = !err;
			if (err && err != -EAGAIN)
				return err;
		}
	}
	return 0;
}

/* Serves until there is a link, or a reason to return. */
static int serve_until(struct peal_listener *listener, struct peal_link **link, uint64_t now,
		       uint64_t deadline, int64_t timeout)
{
	unsigned rounds = 0;
	uint64_t next;
	int err;

	for (;;) {
		expire(listener, now, &next);
		err = serve(listener, link);
		now = platform_now();
		if (*link)
			return 0;
		/* However many knock in vain, the caller's time counts. */
		if (!err && (timeout ? now < deadline : ++rounds < ROUNDS))
			continue;
		if (is_shortage(err))
			return error_set(
				err == -ENOBUFS ? -ENOMEM : err,
				"out of %s: a client was turned away; raise the limit (%s)",
				err == -EMFILE || err == -ENFILE ? "descriptors" : "memory",
				err == -EMFILE || err == -ENFILE ? "ulimit -n" : "memory");
		if (err && err != -EAGAIN)
			return error_set(
				err,
				"the listener can neither poll nor accept any more (errno %d): %s",
				-err, error_mend(err, "did something close its descriptors?"));
		if (!timeout)
			return error_literal(
				-EAGAIN,
				"no client is there, and the timeout is 0: poll, or pass a timeout");
		if (now >= deadline)
			return error_set(
				-ETIMEDOUT,
				"no client came to %s until the timeout of %lld ns: wait longer",
				listener->claim.address.shown, (long long)timeout);
		if (next > deadline)
			next = deadline;
		platform_poll(listener->poller, false,
			      next == UINT64_MAX ? -1 :
			      next > now         ? (int64_t)(next - now) :
						   0);
		now = platform_now();
	}
}

int peal_accept(struct peal_listener *listener, struct peal_link **link, int64_t timeout)
{
	uint64_t now = platform_now(), next;
	uint64_t deadline = platform_deadline(now, timeout);
	int err;

	*link = NULL;
	if (listener->stale)
		return error_literal(
			-ESTALE,
			"this listener is from before a fork: only the parent can use it; open another");
	PEAL_DEBUG_ENTER(listener);
	err = serve_until(listener, link, now, deadline, timeout);
	/* A seat may be free, and who polls has to know when to come again. */
	now = platform_now();
	expire(listener, now, &next);
	/* One that rings too early does no harm, and is not set again for each guest. */
	if (next < listener->timer_at)
		set_timer(listener, now, next);
	PEAL_DEBUG_LEAVE(listener);
	return err;
}

int peal_listener_fd(const struct peal_listener *listener)
{
	if (listener->stale)
		return error_literal(
			-ESTALE,
			"this listener is from before a fork: only the parent can use it; open another");
	return listener->poller;
}

void peal_listener_close(struct peal_listener *listener)
{
	if (!listener)
		return;
	PEAL_DEBUG_ENTER(listener);
	registry_lock();
	registry_remove(&listener->handle);
	if (!listener->stale) {
		/* First, so that who is sent away and comes again finds nobody. */
		claim_end(&listener->claim);
		for (unsigned i = 0; i < GUESTS; i++)
			platform_close_socket(listener->guests[i].fd);
		close_own(listener);
	}
	drop_spares(listener, UINT32_MAX);
	registry_unlock();
	PEAL_DEBUG_LEAVE(listener);
	free(listener->spares);
	admission_end(&listener->admission);
	claim_free(&listener->claim);
	free(listener);
}
