/*
 * SPDX-License-Identifier: MIT
 *
 * Traffic and journals, as traffic.h says.
 */
#include "config.h"

#include "tests/process/traffic.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t traffic_mix(uint64_t from)
{
	from += 0x9e3779b97f4a7c15u;
	from = (from ^ (from >> 30)) * 0xbf58476d1ce4e5b9u;
	from = (from ^ (from >> 27)) * 0x94d049bb133111ebu;
	return from ^ (from >> 31);
}

void traffic_begin(struct traffic *traffic, uint64_t seed, uint64_t ring)
{
	traffic->seed = seed;
	traffic->next = 0;
	traffic->record = (size_t)ring - 16;
	traffic->longest = traffic->record < TRAFFIC_LONGEST ? traffic->record : TRAFFIC_LONGEST;
}

size_t traffic_length(const struct traffic *traffic, uint64_t number)
{
	uint64_t dice = traffic_mix(traffic->seed ^ traffic_mix(number));
	uint64_t below = dice % 128 == 0 ? traffic->longest + 1 :
			 dice % 16 == 0  ? 3 * 4096 :
			 dice % 4 == 0   ? 1024 :
					   64;
	size_t length = (size_t)((dice >> 32) % below);

	if (dice % 512 == 0)
		return traffic->longest;
	return length < traffic->longest ? length : traffic->longest;
}

static uint64_t first_word(const struct traffic *traffic, uint64_t number)
{
	return traffic_mix(traffic->seed + number);
}

static void fill(uint8_t *at, size_t length, uint64_t word)
{
	size_t i = 0;

	for (; i + sizeof(word) <= length; i += sizeof(word), word++)
		memcpy(at + i, &word, sizeof(word));
	if (i < length)
		memcpy(at + i, &word, length - i);
}

static bool is_filled(const uint8_t *at, size_t length, uint64_t word)
{
	size_t i = 0;

	for (; i + sizeof(word) <= length; i += sizeof(word), word++)
		if (memcmp(at + i, &word, sizeof(word)) != 0)
			return false;
	return i == length || memcmp(at + i, &word, length - i) == 0;
}

int traffic_send(struct traffic *traffic, struct peal_tx *tx, int64_t timeout)
{
	size_t length = traffic_length(traffic, traffic->next), half = length / 2;
	uint64_t word = first_word(traffic, traffic->next);
	uint32_t tag = (uint32_t)traffic->next;
	struct iovec pieces[2];
	void *at;
	int err;

	switch (length > traffic->record ? 2 * (traffic->next % 2) : traffic->next % 3) {
	case 0:
		fill(traffic->buffer, length, word);
		err = peal_send(tx, traffic->buffer, length, tag, timeout);
		break;
	case 1:
		err = peal_reserve(tx, length, &at, timeout);
		if (!err) {
			fill(at, length, word);
			err = peal_commit(tx, length, tag);
		}
		break;
	default:
		fill(traffic->buffer, length, word);
		pieces[0] = (struct iovec){ .iov_base = traffic->buffer, .iov_len = half };
		pieces[1] = (struct iovec){ .iov_base = traffic->buffer + half,
					    .iov_len = length - half };
		err = peal_sendv(tx, pieces, 2, tag, timeout);
	}
	if (!err)
		traffic->next++;
	return err;
}

int traffic_send_more(struct traffic *traffic, struct peal_tx *tx, int64_t timeout)
{
	size_t length = traffic_length(traffic, traffic->next);
	uint64_t word = first_word(traffic, traffic->next);
	uint32_t tag = (uint32_t)traffic->next;
	void *at;
	int err;

	if (traffic->next % 2) {
		fill(traffic->buffer, length, word);
		err = peal_send_more(tx, traffic->buffer, length, tag, timeout);
	} else {
		err = peal_reserve(tx, length, &at, timeout);
		if (!err) {
			fill(at, length, word);
			err = peal_commit_more(tx, length, tag);
		}
	}
	if (!err)
		traffic->next++;
	return err;
}

static bool is_next(const struct traffic *traffic, const struct peal_message *message)
{
	return message->tag == (uint32_t)traffic->next &&
	       message->length == traffic_length(traffic, traffic->next) &&
	       is_filled(message->data, message->length, first_word(traffic, traffic->next));
}

int traffic_receive(struct traffic *traffic, struct peal_rx *rx, int64_t timeout)
{
	struct peal_message message;
	ssize_t length;
	bool right;
	int err;

	err = traffic->next % 2 ? peal_peek(rx, &message, timeout) : -EMSGSIZE;
	if (err != -EMSGSIZE) {
		if (err)
			return err;
		right = is_next(traffic, &message);
		peal_release(rx);
	} else {
		length = peal_recv(rx, traffic->buffer, sizeof(traffic->buffer), &message, timeout);
		if (length < 0)
			return (int)length;
		right = (size_t)length == message.length && is_next(traffic, &message);
	}
	if (!right)
		return 1;
	traffic->next++;
	return 0;
}

struct journal *journal_open(const char *path)
{
	struct journal *journal = MAP_FAILED;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		return NULL;
	if (!ftruncate(fd, sizeof(*journal)))
		journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return journal == MAP_FAILED ? NULL : journal;
}

void journal_close(struct journal *journal)
{
	munmap(journal, sizeof(*journal));
}
