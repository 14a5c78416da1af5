/*
 * SPDX-License-Identifier: MIT
 *
 * Recorded bytes: the files of tests/golden, read, and held against what the library makes today;
 * and the peer that says them. What fails here fails the running test.
 */
#ifndef TESTS_UNIT_RECORDED_H
#define TESTS_UNIT_RECORDED_H

#include <stddef.h>
#include <stdint.h>

/* Recorded with pages of this size; nothing recorded is longer than two. */
#define RECORDED_PAGE 4096u

#define WIRE 504u /* bytes of a message of the handshake */

/* Where in it is what the tests have to know. */
#define AT_VERSIONS 8 /* the lowest and the highest */
#define AT_DESCRIPTORS 68
#define AT_START 80
#define AT_TEXT 192

/* Likewise of the control page. */
#define PAGE_HEAD 128
#define PAGE_CLOSED 768

/* How the library of today must agree: '=': the same; '~': in this process it may be anything; '|':
 * these bits are set. */
struct golden {
	size_t size;
	uint8_t byte[2 * RECORDED_PAGE];
	char mark[2 * RECORDED_PAGE];
};

/* The 64 bits there. */
uint64_t word_at(const uint8_t *bytes, size_t at);

/* Over what is there: bytes that a file does not have stay as they are. */
void golden_overlay(struct golden *golden, const char *name);

/* Over zeros. */
void golden_read(struct golden *golden, const char *name, size_t size);

/* What the library of today has made is what was recorded. */
void expect_golden(const struct golden *golden, const char *name, const uint8_t *now);
void expect_file(const char *name, const uint8_t *now, size_t size);

/*
 * The recorded peer.
 */

struct peer {
	int fd;                /* its socket */
	uint8_t *own, *theirs; /* page and ring */
	uint64_t own_start, their_start;
	struct golden own_ring, their_ring;
	int bell; /* that it gave away; -1: none */
};

/* Sealed memory; its descriptor. */
int memory_of(size_t size, uint8_t **at);

/* The next message, and what comes with it: at most four descriptors; how many. */
int hear(int fd, uint8_t message[WIRE], int fds[4]);

/* Hears the library's side and holds it against a file; its segment is mapped. */
void peer_hear(struct peer *peer, const char *name);

/* Says what was recorded, with a segment of the peer's. Our ring's start is in there. */
void peer_say(struct peer *peer, const char *name);

/* Before anything else; and lets go of all. */
void peer_begin(struct peer *peer);
void peer_end(struct peer *peer);

/* The peer has sent what is in this file, and what was before. Files count from the first record,
 * wherever that is in the ring. */
void peer_sends(struct peer *peer, const char *name);

/* The library has sent the same. */
void peer_was_sent(struct peer *peer, const char *name);

/* It has read so much, all in all. */
void peer_reads(struct peer *peer, uint64_t bytes);

/* So has the library. */
void peer_was_read(const struct peer *peer, uint64_t bytes);

#endif
