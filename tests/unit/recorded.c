/*
 * SPDX-License-Identifier: MIT
 *
 * Recorded bytes. See recorded.h, and tests/golden/README for the form of the files.
 */
#include "config.h"

#include "tests/unit/recorded.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/runner.h"
#include "tests/unit/stranger.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

uint64_t word_at(const uint8_t *bytes, size_t at)
{
	uint64_t word;

	memcpy(&word, bytes + at, sizeof(word));
	return word;
}

/* A line "OFFSET MARK BYTES... [* COUNT] remark", of which the bytes end where a word has no two
 * hexadecimal digits alone. Repeated, they stand there so many times. */
static void read_line(struct golden *golden, char *line)
{
	char *word = strtok(line, " \t\n"), *end;
	size_t at, length = 0, count = 1;
	char mark;

	if (!word || *word == '#')
		return;
	at = strtoul(word, &end, 16);
	ck_assert_msg(!*end, "no offset: %s", word);
	mark = *strtok(NULL, " \t\n");
	ck_assert_msg(strchr("=~|", mark) != NULL, "no mark at %zx", at);
	while ((word = strtok(NULL, " \t\n"))) {
		unsigned long value = strtoul(word, &end, 16);

		if (*end || end != word + 2)
			break;
		ck_assert_uint_lt(at + length, golden->size);
		golden->byte[at + length] = (uint8_t)value;
		golden->mark[at + length++] = mark;
	}
	if (word && *word == '*')
		count = strtoul(strtok(NULL, " \t\n"), NULL, 10);
	ck_assert_uint_le(at + length * count, golden->size);
	for (size_t i = length; i < length * count; i++) {
		golden->byte[at + i] = golden->byte[at + i - length];
		golden->mark[at + i] = mark;
	}
}

void golden_overlay(struct golden *golden, const char *name)
{
	char path[64], line[1024];
	FILE *file;

	snprintf(path, sizeof(path), "tests/golden/1/%s", name);
	file = fopen(runner_source(path), "r");
	ck_assert_msg(file != NULL, "%s cannot be read", path);
	while (fgets(line, sizeof(line), file))
		read_line(golden, line);
	fclose(file);
}

void golden_read(struct golden *golden, const char *name, size_t size)
{
	golden->size = size;
	memset(golden->byte, 0, size);
	memset(golden->mark, '=', size);
	golden_overlay(golden, name);
}

/* For a new version of what is recorded: see tests/golden/README. */
static void record(const char *name, const uint8_t *now, size_t size)
{
	const char *folder = getenv("GOLDEN_RECORD");
	char path[512];
	FILE *file;

	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	ck_assert_msg(file != NULL, "%s cannot be written", path);
	for (size_t at = 0; at < size; at += 8) {
		if (!word_at(now, at))
			continue;
		fprintf(file, "%04zx =", at);
		for (size_t i = 0; i < 8; i++)
			fprintf(file, " %02x", now[at + i]);
		fputc('\n', file);
	}
	fclose(file);
}

void expect_golden(const struct golden *golden, const char *name, const uint8_t *now)
{
	record(name, now, golden->size);
	for (size_t i = 0; i < golden->size; i++) {
		uint8_t was = golden->byte[i];

		ck_assert_msg(golden->mark[i] == '~' || now[i] == was ||
				      (golden->mark[i] == '|' && (now[i] & was) == was),
			      "%s: at 0x%zx is 0x%02x, and 0x%02x was recorded", name, i, now[i],
			      was);
	}
}

void expect_file(const char *name, const uint8_t *now, size_t size)
{
	struct golden golden;

	golden_read(&golden, name, size);
	expect_golden(&golden, name, now);
}

/*
 * The recorded peer.
 */

int memory_of(size_t size, uint8_t **at)
{
	int fd = memfd_create("golden", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)size), 0);
	*at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(*at, MAP_FAILED);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS,
			       F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
			 0);
	return fd;
}

int hear(int fd, uint8_t message[WIRE], int fds[4])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(4 * sizeof(int))];
	} ancillary;
	struct iovec piece = { .iov_base = message, .iov_len = WIRE };
	struct msghdr whole = { .msg_iov = &piece,
				.msg_iovlen = 1,
				.msg_control = &ancillary,
				.msg_controllen = sizeof(ancillary) };
	struct pollfd look = { .fd = fd, .events = POLLIN };
	int count = 0;

	ck_assert_msg(poll(&look, 1, 20000) == 1, "nothing comes");
	ck_assert_int_eq(recvmsg(fd, &whole, MSG_CMSG_CLOEXEC), WIRE);
	for (struct cmsghdr *item = CMSG_FIRSTHDR(&whole); item; item = CMSG_NXTHDR(&whole, item))
		if (item->cmsg_type == SCM_RIGHTS) {
			count = (int)((item->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(item), (size_t)count * sizeof(int));
		}
	return count;
}

void peer_hear(struct peer *peer, const char *name)
{
	uint8_t message[WIRE];
	int fds[4], count = hear(peer->fd, message, fds);

	expect_file(name, message, WIRE);
	ck_assert_int_eq(count, message[AT_DESCRIPTORS]);
	peer->their_start = word_at(message, AT_START);
	peer->theirs = mmap(NULL, 2 * (size_t)RECORDED_PAGE, PROT_READ, MAP_SHARED, fds[0], 0);
	ck_assert_ptr_ne(peer->theirs, MAP_FAILED);
	while (count--)
		close(fds[count]);
}

void peer_say(struct peer *peer, const char *name)
{
	struct golden message, page;
	int fds[2] = { memory_of(2 * (size_t)RECORDED_PAGE, &peer->own), -1 };

	golden_read(&message, name, WIRE);
	peer->own_start = word_at(message.byte, AT_START);
	if (message.byte[AT_DESCRIPTORS] == 2)
		fds[1] = peer->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	golden_read(&page, "page", RECORDED_PAGE);
	memcpy(peer->own, page.byte, RECORDED_PAGE);
	stranger_send(peer->fd, message.byte, WIRE, fds, message.byte[AT_DESCRIPTORS]);
	close(fds[0]);
}

void peer_begin(struct peer *peer)
{
	memset(peer, 0, sizeof(*peer));
	peer->bell = -1;
	memset(peer->own_ring.mark, '=', RECORDED_PAGE);
	memset(peer->their_ring.mark, '=', RECORDED_PAGE);
	peer->own_ring.size = peer->their_ring.size = RECORDED_PAGE;
}

void peer_end(struct peer *peer)
{
	munmap(peer->own, 2 * (size_t)RECORDED_PAGE);
	munmap(peer->theirs, 2 * (size_t)RECORDED_PAGE);
	close(peer->fd);
	if (peer->bell >= 0)
		close(peer->bell);
}

void peer_sends(struct peer *peer, const char *name)
{
	golden_overlay(&peer->own_ring, name);
	for (size_t i = 0; i < RECORDED_PAGE; i++)
		peer->own[RECORDED_PAGE + (peer->own_start + i) % RECORDED_PAGE] =
			peer->own_ring.byte[i];
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void peer_was_sent(struct peer *peer, const char *name)
{
	uint8_t ring[RECORDED_PAGE];

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (size_t i = 0; i < RECORDED_PAGE; i++)
		ring[i] = peer->theirs[RECORDED_PAGE + (peer->their_start + i) % RECORDED_PAGE];
	golden_overlay(&peer->their_ring, name);
	expect_golden(&peer->their_ring, name, ring);
}

void peer_reads(struct peer *peer, uint64_t bytes)
{
	uint64_t *head = (uint64_t *)(void *)(peer->own + PAGE_HEAD);

	__atomic_store_n(head, peer->their_start + bytes, __ATOMIC_RELEASE);
}

void peer_was_read(const struct peer *peer, uint64_t bytes)
{
	ck_assert_uint_eq(word_at(peer->theirs, PAGE_HEAD), peer->own_start + bytes);
}
