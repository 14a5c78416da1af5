/*
 * SPDX-License-Identifier: MIT
 *
 * The other side: a program that the process tests start, to have a process that shares nothing
 * with them but what Peal gives it, and that they can kill. Takes commands as orders.h says.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/filter.h"
#include "tests/process/orders.h"
#include "tests/process/traffic.h"

#define LINKS 64

static struct peal_options options;
static char name[64];
static struct peal_listener *listener;
static struct peal_link *link_now; /* the last one that was made */
static struct journal nowhere, *journal = &nowhere;
static struct traffic traffic;

/*
 * Who this is and what it may.
 */

static void set_wait(char *words[])
{
	static const char *const waits[] = { "adaptive", "spin", "sleep" };

	for (uint32_t i = 0; i < 3; i++)
		if (words[1] && !strcmp(words[1], waits[i]))
			options.wait = i;
}

static void set_cpu(char *words[])
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number(words[1]), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		_exit(4);
	/* Where it may, it comes before others, so that it is disturbed less. */
	setpriority(PRIO_PROCESS, 0, -20);
}

/* A system call, the errno that it fails with, and perhaps an argument and its bits. */
static void set_forbidden(char *words[])
{
	const struct filter filter = { .call = (long)number(words[1]),
				       .err = (int)number(words[2]),
				       .argument = (unsigned)number(words[3]),
				       .bits = (uint32_t)number(words[3] ? words[4] : NULL) };

	if (!filter_install(&filter))
		_exit(4);
}

static void set_option(char *words[])
{
	uint64_t value = number(words[1]);

	if (!strcmp(words[0], "ring"))
		options.ring = value;
	else if (!strcmp(words[0], "bell"))
		options.bell = (uint32_t)value;
	else if (!strcmp(words[0], "barrier"))
		options.barrier = (uint32_t)value;
	else if (!strcmp(words[0], "flags"))
		options.flags = (uint32_t)value;
	else if (!strcmp(words[0], "spin"))
		options.spin_ns = value;
	else if (!strcmp(words[0], "allow"))
		options.allow = (uint32_t)value;
	else if (!strcmp(words[0], "node"))
		options.node = (uint32_t)value;
	else if (!strcmp(words[0], "group"))
		options.group = (uint32_t)value;
	else if (!strcmp(words[0], "mode"))
		options.mode = (uint32_t)value;
	else if (!strcmp(words[0], "backlog"))
		options.backlog = (uint32_t)value;
	else
		options.handshake_ns = value;
}

static void set_name(char *words[])
{
	snprintf(name, sizeof(name), "%s", words[1]);
	options.name = name;
}

static void set_journal(char *words[])
{
	journal = journal_open(words[1]);
	if (!journal)
		_exit(4);
}

/*
 * Links.
 */

static void do_listen(char *words[])
{
	answer("listen", peal_listen(&listener, words[1], &options));
}

static void say_made(const char *verb, int err)
{
	const struct peal_peer *peer = err ? NULL : peal_link_peer(link_now);

	if (err)
		answer(verb, err);
	else
		say("%s 0 pid %" PRId64 " uid %u gid %u name %s", verb, peer->pid, peer->uid,
		    peer->gid, peer->name);
}

static void do_accept(char *words[])
{
	struct peal_link *made;
	int err = peal_accept(listener, &made, timeout(words[1]));

	if (!err)
		link_now = made;
	say_made("accept", err);
}

static void do_connect(char *words[])
{
	struct peal_link *made;
	int err = peal_connect(&made, words[1], &options, timeout(words[2]));

	if (!err)
		link_now = made;
	say_made("connect", err);
}

static void do_close(char *words[])
{
	(void)words;
	peal_close(link_now);
	link_now = NULL;
	answer("close", 0);
}

static void do_unlisten(char *words[])
{
	(void)words;
	peal_listener_close(listener);
	listener = NULL;
	answer("unlisten", 0);
}

static void do_stats(char *words[])
{
	struct peal_stats stats = { .size = sizeof(stats) };
	int err = peal_link_stats(link_now, &stats);

	(void)words;
	if (err)
		answer("stats", err);
	else
		say("stats 0 rx %" PRIu64 " %" PRIu64 " tx %" PRIu64 " %" PRIu64 " unread %" PRIu64,
		    stats.rx.messages, stats.rx.idle_rings, stats.tx.messages, stats.tx.idle_rings,
		    stats.peer_unread);
}

/* All that the library can tell of the machine: how much that is. */
static void do_facts(char *words[])
{
	struct peal_choice choice;
	struct peal_fact fact;
	unsigned choices = 0, facts = 0;

	(void)words;
	while (!peal_runtime_choice(choices, &choice))
		choices++;
	while (!peal_runtime_fact(facts, &fact))
		facts++;
	answer("facts", choices && facts ? 0 : -ENODATA);
}

/* Keeps this thread on a CPU for a moment. */
static void do_pin(char *words[])
{
	struct peal_affinity *before = NULL;
	struct peal_cpu first;
	int err = peal_cpu_list(&first, 1);

	(void)words;
	if (err > 0)
		err = peal_cpu_pin(first.number, &before);
	if (!err)
		err = peal_cpu_unpin(before);
	answer("pin", err);
}

/* What the ring got that this side sends into. */
static void do_memory(char *words[])
{
	struct peal_memory memory = { .size = sizeof(memory) };
	int err = peal_link_memory(link_now, &memory);

	(void)words;
	if (err)
		answer("memory", err);
	else
		say("memory 0 locked %d node %d of %d: %s",
		    (memory.tx.has & PEAL_MEMORY_LOCKED) != 0, memory.tx.node,
		    memory.tx.wanted_node, memory.tx.why);
}

/*
 * Messages.
 */

static void do_send(char *words[])
{
	size_t length = (size_t)number(words[1]);

	memset(traffic.buffer, 'x', length);
	answer("send",
	       peal_send(peal_link_tx(link_now), traffic.buffer, length, 0, timeout(words[2])));
}

static void do_recv(char *words[])
{
	answer("recv", peal_recv(peal_link_rx(link_now), traffic.buffer, sizeof(traffic.buffer),
				 NULL, timeout(words[1])));
}

/* Sends until it cannot, or so many. Says how many and why it ended. */
static void do_produce(char *words[])
{
	uint64_t end = words[2] ? number(words[2]) : UINT64_MAX;
	int err = 0;

	traffic_begin(&traffic, number(words[1]), options.ring);
	if (words[4])
		traffic.longest = (size_t)number(words[4]);
	while (!err && traffic.next < end) {
		err = traffic_send(&traffic, peal_link_tx(link_now),
				   timeout(words[2] ? words[3] : NULL));
		if (!err)
			journal_note(&journal->sent, traffic.next);
	}
	say("produce %d %" PRIu64 " %s", err, traffic.next, err ? peal_error() : "");
}

/* Sends in batches, until it cannot, and notes what it has published. */
static void do_bundle(char *words[])
{
	uint64_t next = 0;
	int err = 0;

	traffic_begin(&traffic, number(words[1]), options.ring);
	traffic.longest = 1000;
	while (!err) {
		for (uint64_t i = traffic_mix(next) % 32 + 1; i && !err; i--)
			err = traffic_send_more(&traffic, peal_link_tx(link_now), PEAL_FOREVER);
		peal_flush(peal_link_tx(link_now));
		next = traffic.next;
		journal_note(&journal->sent, next);
	}
	say("bundle %d %" PRIu64 " %s", err, next, peal_error());
}

/* Receives likewise. The sender's ring, or longest message, must be as long as this side's. */
static void do_consume(char *words[])
{
	uint64_t end = words[2] ? number(words[2]) : UINT64_MAX;
	int err = 0;

	traffic_begin(&traffic, number(words[1]), options.ring);
	if (words[4])
		traffic.longest = (size_t)number(words[4]);
	while (!err && traffic.next < end) {
		err = traffic_receive(&traffic, peal_link_rx(link_now),
				      timeout(words[2] ? words[3] : NULL));
		if (!err)
			journal_note(&journal->received, traffic.next);
	}
	if (err > 0)
		journal_note(&journal->wrong, traffic.next + 1);
	say("consume %d %" PRIu64 " %s", err, traffic.next, err < 0 ? peal_error() : "");
}

static int echo_one(struct peal_link *to, int64_t patience)
{
	struct peal_message message;
	ssize_t length = peal_recv(peal_link_rx(to), traffic.buffer, sizeof(traffic.buffer),
				   &message, patience);

	if (length < 0)
		return (int)length;
	return peal_send(peal_link_tx(to), traffic.buffer, (size_t)length, message.tag,
			 PEAL_FOREVER);
}

/* Answers each message with itself, until it cannot. */
static void do_echo(char *words[])
{
	uint64_t count = 0;
	int err;

	(void)words;
	while (!(err = echo_one(link_now, PEAL_FOREVER)))
		journal_note(&journal->received, ++count);
	say("echo %d %" PRIu64 " %s", err, count, peal_error());
}

/* The two sides of a round trip, or of a stream, that note every step. */
static void do_ping(char *words[])
{
	uint64_t end = number(words[1]), buffer[8] = { 0 };
	struct peal_tx *tx = peal_link_tx(link_now);
	struct peal_rx *rx = peal_link_rx(link_now);
	int err = 0;

	for (uint64_t i = 1; i <= end && !err; i++) {
		buffer[0] = i;
		err = peal_send(tx, buffer, sizeof(buffer), 0, PEAL_FOREVER);
		if (!err && peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER) < 0)
			err = -EIO;
		journal_note(&journal->sent, i);
	}
	answer("ping", err);
}

static void do_pong(char *words[])
{
	uint64_t end = number(words[1]), buffer[8];
	struct peal_tx *tx = peal_link_tx(link_now);
	struct peal_rx *rx = peal_link_rx(link_now);
	int err = 0;

	for (uint64_t i = 1; i <= end && !err; i++) {
		if (peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER) < 0)
			err = -EIO;
		else
			err = peal_send(tx, buffer, sizeof(buffer), 0, PEAL_FOREVER);
		journal_note(&journal->received, i);
	}
	answer("pong", err);
}

static void do_pour(char *words[])
{
	uint64_t end = number(words[1]), buffer[8] = { 0 };
	int err = 0;

	for (uint64_t i = 1; i <= end && !err; i++) {
		err = peal_send(peal_link_tx(link_now), buffer, sizeof(buffer), 0, PEAL_FOREVER);
		journal_note(&journal->sent, i);
	}
	answer("pour", err);
}

static void do_drink(char *words[])
{
	uint64_t end = number(words[1]), buffer[8];
	int err = 0;

	for (uint64_t i = 1; i <= end && !err; i++) {
		if (peal_recv(peal_link_rx(link_now), buffer, sizeof(buffer), NULL, PEAL_FOREVER) <
		    0)
			err = -EIO;
		journal_note(&journal->received, i);
	}
	answer("drink", err);
}

/*
 * What goes on until the process is killed.
 */

/* Answers each message of every client with itself, and says when one has gone. */
static void do_serve(char *words[])
{
	struct peal_link *links[LINKS] = { NULL };

	(void)words;
	for (;;) {
		bool idle = true;

		for (unsigned i = 0; i < LINKS; i++) {
			int err = links[i] ? echo_one(links[i], 0) :
					     peal_accept(listener, &links[i], 0);

			if (!err)
				idle = false;
			if (!err || err == -EAGAIN || !links[i])
				continue;
			peal_close(links[i]);
			links[i] = NULL;
			answer("gone", err);
		}
		if (idle)
			sched_yield();
	}
}

/* Takes in whoever comes and closes again. */
static void do_welcome(char *words[])
{
	uint64_t count = 0;

	(void)words;
	for (;;) {
		struct peal_link *made;

		if (peal_accept(listener, &made, PEAL_FOREVER) == 0) {
			peal_close(made);
			journal_note(&journal->received, ++count);
		}
	}
}

/* Connects and closes. */
static void do_visit(char *words[])
{
	uint64_t count = 0;

	for (;;) {
		struct peal_link *made;

		if (peal_connect(&made, words[1], &options, 1000000000) == 0) {
			peal_close(made);
			journal_note(&journal->sent, ++count);
		}
	}
}

/* Goes on in a child, which has the handles of its parent; the parent only waits to be killed. */
static void do_fork(char *words[])
{
	pid_t child = fork();

	(void)words;
	if (child < 0)
		_exit(4);
	while (child)
		pause();
	say("fork %ld", (long)getpid());
}

/* Whether a descriptor may be put under way. */
static void do_probe(char *words[])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} ancillary = { .room = { 0 } };
	struct iovec piece = { .iov_base = (char[]){ 0 }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &ancillary,
				  .msg_controllen = sizeof(ancillary) };
	int ends[2], err = 0;

	(void)words;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		_exit(4);
	ancillary.header.cmsg_level = SOL_SOCKET;
	ancillary.header.cmsg_type = SCM_RIGHTS;
	ancillary.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&ancillary.header), &ends[0], sizeof(int));
	if (sendmsg(ends[0], &message, 0) < 0)
		err = -errno;
	close(ends[0]);
	close(ends[1]);
	answer("probe", err);
}

/* Waits for a number to appear in the journal: a starting gun for many. */
static void do_await(char *words[])
{
	(void)words;
	while (!journal_read(&journal->gun))
		sched_yield();
}

static const struct order commands[] = {
	{ "wait", set_wait },       { "user", order_user },      { "nofile", order_descriptors },
	{ "cpu", set_cpu },         { "ring", set_option },      { "spin", set_option },
	{ "allow", set_option },    { "group", set_option },     { "mode", set_option },
	{ "backlog", set_option },  { "handshake", set_option }, { "name", set_name },
	{ "journal", set_journal }, { "listen", do_listen },     { "accept", do_accept },
	{ "connect", do_connect },  { "close", do_close },       { "unlisten", do_unlisten },
	{ "stats", do_stats },      { "send", do_send },         { "recv", do_recv },
	{ "produce", do_produce },  { "consume", do_consume },   { "echo", do_echo },
	{ "bundle", do_bundle },    { "ping", do_ping },         { "pong", do_pong },
	{ "pour", do_pour },        { "drink", do_drink },       { "serve", do_serve },
	{ "welcome", do_welcome },  { "visit", do_visit },       { "fork", do_fork },
	{ "probe", do_probe },      { "await", do_await },       { "forbid", set_forbidden },
	{ "bell", set_option },     { "barrier", set_option },   { "flags", set_option },
	{ "facts", do_facts },      { "node", set_option },      { "pin", do_pin },
	{ "memory", do_memory },
};

int main(void)
{
	peal_options_init(&options);
	options.ring = 65536;
	/* Where the machine has other things to do, a client needs more than a second for it. */
	options.handshake_ns = 20000000000;
	options.max_message = TRAFFIC_LONGEST;
	orders_follow(commands, sizeof(commands) / sizeof(commands[0]));
	peal_close(link_now);
	peal_listener_close(listener);
	return 0;
}
