/*
 * SPDX-License-Identifier: MIT
 *
 * A peer that speaks the handshake by hand, to each of those who take somebody in by one message: a
 * server that hears HELLO, a client and a monitor that hear WELCOME; and a link through the same
 * server that nobody lies to. White-box in that it knows the messages. What fails here fails the
 * running test.
 */
#ifndef TESTS_HOSTILE_DOORS_PEER_H
#define TESTS_HOSTILE_DOORS_PEER_H

#include "lib/handshake.h"
#include "tests/unit/stage.h"

enum hearer { SERVER, CLIENT, MONITOR, HEARERS };

struct door {
	struct meeting beside;
	struct segment segment; /* the peer's, which it may write */
	int memory;             /* its descriptor */
	int counters; /* of this process, as a monitor would get them; not ours to close */
	uint64_t counters_size;
	int descriptors, mappings;
};

/* The server lets everybody in. door_close sees that nothing has been left behind. */
void door_open(struct door *door);
void door_close(struct door *door);

/* The other link's messages go both ways. */
void door_expect_others_well(const struct door *door);

/* What a stranger who has done its homework says, with which memory. */
struct wire_message wire_homework(enum wire_type type, const struct segment *segment);
struct wire_message door_homework(const struct door *door, enum hearer hearer);
int door_memory(const struct door *door, enum hearer hearer);

/* What came of it. */
struct outcome {
	int err; /* of the call; of a server's refusal, the code */
	char words[512];
	struct peal_link *link;
	struct peal_monitor *monitor;
	int fd;      /* the peer's end of the socket */
	int brought; /* the other end, where that is still the caller's; 0: it is not */
};

/* Says this with these descriptors to one who takes the other side in then, and trusts nobody. */
void door_meet(const struct door *door, enum hearer hearer, const struct wire_message *message,
	       size_t length, const int *fds, int count, struct outcome *outcome);

/* As a client or a monitor, with these options. */
void door_answer(enum hearer hearer, const struct peal_options *options,
		 const struct wire_message *message, size_t length, const int *fds, int count,
		 struct outcome *outcome);

/* Ends what came of it. */
void door_part(struct outcome *outcome);

/* The next message takes this descriptor along for good: the peer's own is closed while that is
 * under way, and whoever hears it has the last one. */
void door_give(int fd);

/* From here on the peer is another, ordinary user's, or root's again. */
void door_turn(bool nobody);

#endif
