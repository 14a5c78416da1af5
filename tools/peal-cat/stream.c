/*
 * SPDX-License-Identifier: MIT
 *
 * A stream is a message for each piece that was read, and an empty one where the input ended. Who
 * has come to the end of both, that of his own input and that of the peer's, and has written all
 * that came, says so by one more empty message, with a tag, and does not go before he has heard
 * the same: so 0 means that all is written, there too, and nobody who dies is taken for one who was
 * done.
 *
 * The calling thread sends and another one receives, each with an end of the link of its own, and
 * with the ring as the only buffer: standard input is read into it, and standard output written
 * from it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal.h>

#include "report.h"
#include "stream.h"

/* Of empty messages. */
#define TAG_END 0
#define TAG_WRITTEN 1

/* A message takes no more than this, and a quarter of the ring, so that both sides work at the same
 * time. */
#define PIECE_MOST ((uint64_t)256 << 10)

struct receiver {
	struct peal_rx *rx;
	sem_t written; /* all that came until the peer's input ended */
	pthread_t thread;
};

/* After a read or write that failed: returns if there is another try, when it is time for it. */
static void await(int fd, short events, const char *what)
{
	struct pollfd wanted = { .fd = fd, .events = events };

	if (errno == EINTR)
		return;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		report_failure(CAT_BROKEN, "%s: %s", what, strerror(errno));
	/* Whatever it says, the next try knows better. */
	poll(&wanted, 1, -1);
}

/* 0: there is no more. */
static size_t read_piece(void *to, size_t most)
{
	ssize_t got;

	while ((got = read(STDIN_FILENO, to, most)) < 0)
		await(STDIN_FILENO, POLLIN, "reading standard input");
	return (size_t)got;
}

static void write_piece(const void *data, size_t length)
{
	const char *from = data;

	while (length) {
		ssize_t put = write(STDOUT_FILENO, from, length);

		if (put < 0) {
			await(STDOUT_FILENO, POLLOUT, "writing standard output");
		} else {
			from += put;
			length -= (size_t)put;
		}
	}
}

/* Who reads it is to see an end, while this process goes on. */
static void end_output(void)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* A socket may be standard input, too. */
	shutdown(STDOUT_FILENO, SHUT_WR);
	if (close(STDOUT_FILENO))
		report_failure(CAT_BROKEN, "closing standard output: %s", strerror(errno));
	/* Its number is not for others. */
	if (nowhere >= 0)
		dup2(nowhere, STDOUT_FILENO);
}

/* All that is read, and the end, which is the message that is empty. 0 or a negative errno. */
static int send_stream(struct peal_tx *tx, size_t most)
{
	size_t length;
	void *at;
	int err;

	do {
		err = peal_reserve(tx, most, &at, PEAL_FOREVER);
		if (err)
			return err;
		length = read_piece(at, most);
		err = peal_commit(tx, length, TAG_END);
	} while (!err && length);
	return err;
}

/* The next message; whatever else comes is the end of this process. before: what has not happened
 * yet. */
static struct peal_message receive(struct peal_rx *rx, const char *before)
{
	struct peal_message message;
	int err = peal_peek(rx, &message, PEAL_FOREVER);

	if (err == -EPIPE || err == -ECONNRESET)
		report_failure(CAT_BROKEN, "the other side %s before %s",
			       err == -EPIPE ? "closed the link" : "died or broke off", before);
	if (err)
		report_failure(CAT_BROKEN, "%s", peal_error());
	return message;
}

static void *receive_stream(void *data)
{
	struct receiver *receiver = data;
	struct peal_rx *rx = receiver->rx;
	struct peal_message message;
	bool fits;

	for (;;) {
		message = receive(rx, "its input had ended: what came of it may be a part");
		if (!message.length)
			break;
		write_piece(message.data, message.length);
		peal_release(rx);
	}
	fits = message.tag == TAG_END;
	peal_release(rx);
	if (fits) {
		end_output();
		sem_post(&receiver->written);
		message = receive(rx, "it had written all that was sent");
		fits = !message.length && message.tag == TAG_WRITTEN;
		peal_release(rx);
	}
	if (!fits)
		report_failure(CAT_BROKEN, "the other side is no peal-cat: an empty message is the "
					   "end of a stream, and nothing comes behind it");
	return NULL;
}

static size_t largest_piece(const struct peal_link *link)
{
	struct peal_agreed agreed = { .size = sizeof(agreed) };
	uint64_t most = PIECE_MOST;
	int err = peal_link_agreed(link, &agreed);

	if (err)
		report_failure(CAT_BROKEN, "%s", peal_error());
	if (most > agreed.ring / 4)
		most = agreed.ring / 4;
	return (size_t)(most < agreed.largest ? most : agreed.largest);
}

void stream_run(struct peal_link *link)
{
	struct receiver receiver = { .rx = peal_link_rx(link) };
	struct peal_tx *tx = peal_link_tx(link);
	size_t most = largest_piece(link);
	int err;

	sem_init(&receiver.written, 0, 0);
	err = pthread_create(&receiver.thread, NULL, receive_stream, &receiver);
	if (err)
		report_failure(CAT_BROKEN, "starting a thread: %s", strerror(err));
	err = send_stream(tx, most);
	if (!err) {
		while (sem_wait(&receiver.written))
			;
		err = peal_send(tx, NULL, 0, TAG_WRITTEN, PEAL_FOREVER);
	}
	/* Of a peer that has gone what it had sent is still to be written. */
	if (err && err != -EPIPE && err != -ECONNRESET)
		report_failure(CAT_BROKEN, "%s", peal_error());
	pthread_join(receiver.thread, NULL);
	if (err)
		report_failure(CAT_BROKEN, "the other side has gone before all was sent");
	sem_destroy(&receiver.written);
}
