/*
 * SPDX-License-Identifier: MIT
 *
 * A peer that speaks the handshake by hand. See doors_peer.h.
 */
#include "config.h"

#include "tests/hostile/doors_peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/options.h"
#include "lib/stats.h"
#include "tests/unit/stranger.h"

void door_open(struct door *door)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 4 * stage_page());
	struct stats_view view;

	options.allow = PEAL_ALLOW_ANYONE;
	options.mode = 0666;
	descriptors_settled();
	meeting_open(&door->beside, &options, &options);
	ck_assert_int_eq(segment_create(&door->segment, &options, 0), 0);
	door->memory = door->segment.fd;
	ck_assert_int_eq(stats_look(0, &view), 0);
	door->counters = view.fd[0];
	door->counters_size = view.size[0];
	door->descriptors = descriptors_count();
	door->mappings = mappings_count();
}

void door_close(struct door *door)
{
	door_expect_others_well(door);
	descriptors_expect(door->descriptors);
	ck_assert_int_eq(mappings_count(), door->mappings);
	threads_expect_none();
	segment_destroy(&door->segment);
	close(door->memory);
	meeting_close(&door->beside);
}

static void expect_passes(struct peal_link *from, struct peal_link *to)
{
	char buffer[8];

	ck_assert_int_eq(peal_send(peal_link_tx(from), "well", 4, 0, 0), 0);
	ck_assert_int_eq(peal_recv(peal_link_rx(to), buffer, sizeof(buffer), NULL, 0), 4);
}

void door_expect_others_well(const struct door *door)
{
	expect_passes(door->beside.client, door->beside.server);
	expect_passes(door->beside.server, door->beside.client);
}

struct wire_message wire_homework(enum wire_type type, const struct segment *segment)
{
	struct link_plan plan = { .own = *segment, .own_eventfd = -1, .peer_eventfd = -1 };
	struct platform_parcel parcel = { .count = 0 };
	struct wire_message message;
	struct peal_options options;

	ck_assert_int_eq(options_take(&options, NULL), 0);
	options.name = "stranger";
	options.bell = PEAL_BELL_SOCKET;
	options.flags = PEAL_DISTRUST_PEER;
	wire_fill(&message, type, &options, CAPACITY_MAX, &plan, &parcel);
	return message;
}

struct wire_message door_homework(const struct door *door, enum hearer hearer)
{
	struct wire_message message = wire_homework(hearer == SERVER ? WIRE_HELLO : WIRE_WELCOME,
						    &door->segment);

	if (hearer == MONITOR) {
		message.kind = WIRE_MONITOR;
		message.stats_objects = 1;
		message.descriptor[0] = WIRE_STATS;
		message.stats_size[0] = door->counters_size;
	}
	return message;
}

int door_memory(const struct door *door, enum hearer hearer)
{
	return hearer == MONITOR ? door->counters : door->memory;
}

/* The server's refusal, which is all that it says. */
static void hear_refusal(struct outcome *outcome)
{
	struct wire_message answer;

	ck_assert_int_eq(stranger_hear(outcome->fd, &answer, sizeof(answer), NULL), sizeof(answer));
	ck_assert_uint_eq(answer.type, WIRE_REFUSE);
	ck_assert_ptr_nonnull(memchr(answer.text, 0, sizeof(answer.text)));
	ck_assert_int_eq(stranger_hear(outcome->fd, &answer.kind, 1, NULL), 0);
	outcome->err = -(int)answer.code;
	snprintf(outcome->words, sizeof(outcome->words), "%s", answer.text);
}

static int given = -1;

void door_give(int fd)
{
	given = fd;
}

static void say(int fd, const void *data, size_t length, const int *fds, int count)
{
	stranger_send(fd, data, length, fds, count);
	if (given >= 0)
		close(given);
	given = -1;
}

static void say_hello(const struct door *door, const struct wire_message *message, size_t length,
		      const int *fds, int count, struct outcome *outcome)
{
	outcome->fd = stranger_connect(door->beside.folder.path);
	say(outcome->fd, message, length, fds, count);
	outcome->err = peal_accept(door->beside.listener, &outcome->link, 0);
	if (!outcome->err)
		return;
	ck_assert_int_eq(outcome->err, -EAGAIN);
	ck_assert_ptr_null(outcome->link);
	hear_refusal(outcome);
}

void door_answer(enum hearer hearer, const struct peal_options *options,
		 const struct wire_message *message, size_t length, const int *fds, int count,
		 struct outcome *outcome)
{
	char address[16];
	int ends[2];

	*outcome = (struct outcome){ .err = 0 };
	/* The answer is there before it is asked for, so nobody need wait. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	outcome->fd = ends[0];
	say(ends[0], message, length, fds, count);
	snprintf(address, sizeof(address), "fd:%d", ends[1]);
	if (hearer == CLIENT)
		outcome->err = peal_connect(&outcome->link, address, options, LONG);
	else
		outcome->err = peal_monitor_open(&outcome->monitor, address, LONG);
	if (!outcome->err)
		return;
	snprintf(outcome->words, sizeof(outcome->words), "%s", peal_error());
	ck_assert_ptr_null(outcome->link);
	ck_assert_ptr_null(outcome->monitor);
	outcome->brought = ends[1];
}

void door_meet(const struct door *door, enum hearer hearer, const struct wire_message *message,
	       size_t length, const int *fds, int count, struct outcome *outcome)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);

	options.allow = PEAL_ALLOW_ANYONE;
	options.flags = PEAL_DISTRUST_PEER;
	*outcome = (struct outcome){ .err = 0 };
	if (hearer == SERVER)
		say_hello(door, message, length, fds, count, outcome);
	else
		door_answer(hearer, &options, message, length, fds, count, outcome);
	/* Somebody, or a reason that can be printed. */
	if (!outcome->err)
		return;
	ck_assert_str_ne(outcome->words, "");
	for (const char *c = outcome->words; *c; c++)
		ck_assert_msg(*c >= ' ' && *c <= '~', "0x%x in: %s", (unsigned)*c, outcome->words);
}

void door_part(struct outcome *outcome)
{
	peal_close(outcome->link);
	peal_monitor_close(outcome->monitor);
	close(outcome->fd);
	if (outcome->brought)
		close(outcome->brought);
}

void door_turn(bool nobody)
{
	if (nobody)
		ck_assert_ptr_null(become_nobody());
	else
		ck_assert(!seteuid(0) && !setegid(0));
}
