/*
 * SPDX-License-Identifier: MIT
 *
 * What the static probes are for, each once, in one process: run by tests/probes/run, which has a
 * debugger listen. Uses the public headers only.
 */
#define _DEFAULT_SOURCE
#include <peal.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void must(int err, const char *what)
{
	if (err < 0) {
		fprintf(stderr, "events: %s: %d: %s\n", what, err, peal_error());
		exit(1);
	}
}

static void *receive_one(void *rx)
{
	char text[8];

	must((int)peal_recv(rx, text, sizeof(text), NULL, PEAL_FOREVER), "receive");
	return NULL;
}

/* One side waits for data, which the other one sends when it has seen it asleep. */
static void sleep_and_ring(struct peal_link *links[2])
{
	struct peal_stats stats = { .size = sizeof(stats) };
	pthread_t thread;

	must(-pthread_create(&thread, NULL, receive_one, peal_link_rx(links[1])), "start");
	do {
		usleep(1000);
		must(peal_link_stats(links[1], &stats), "stats");
	} while (!stats.rx.sleeps);
	must(peal_send(peal_link_tx(links[0]), "x", 1, 0, PEAL_FOREVER), "send");
	pthread_join(thread, NULL);
}

static void fill(struct peal_tx *tx)
{
	char payload[1000] = "";
	int err;

	do
		err = peal_send(tx, payload, sizeof(payload), 0, 1000000);
	while (!err);
	if (err != -ETIMEDOUT)
		must(err, "fill");
}

/* A header that says that its record is longer than the ring. */
static void lie(struct peal_link *links[2])
{
	struct peal_tx *tx = peal_link_tx(links[1]);
	uint64_t header = PEAL_HEADER_LENGTH;
	char text[8];

	memcpy(tx->data + (tx->pos & tx->mask), &header, sizeof(header));
	if (peal_recv(peal_link_rx(links[0]), text, sizeof(text), NULL, 0) != -EPROTO)
		exit(1);
}

/* Somebody who comes with more descriptors than any handshake has. */
static void knock(const char *path)
{
	char byte = 0;
	struct iovec piece = { &byte, 1 };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(64 * sizeof(int)) } };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct peal_listener *listener;
	struct peal_link *link;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	must(peal_listen(&listener, path, NULL), "listen");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	for (int i = 0; i < 64; i++)
		memcpy(CMSG_DATA(&control.header) + sizeof(fd) * (size_t)i, &fd, sizeof(fd));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    sendmsg(fd, &message, 0) != 1)
		exit(1);
	if (peal_accept(listener, &link, 0) != -EAGAIN)
		exit(1);
	close(fd);
	peal_listener_close(listener);
}

int main(int argc, char **argv)
{
	struct peal_link *links[2];
	struct peal_options options;

	if (argc != 2)
		return 2;
	peal_options_init(&options);
	options.wait = PEAL_WAIT_SLEEP;
	must(peal_pair(links, &options), "pair");
	sleep_and_ring(links);
	fill(peal_link_tx(links[0]));
	lie(links);
	peal_close(links[0]);
	peal_close(links[1]);
	knock(argv[1]);
	return 0;
}
