/* SPDX-License-Identifier: MIT */
/* Start it twice: both send each other 8 MiB at once, a thread each. Usage: exchange ./x.sock */
#include <peal.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	static char mine[8 << 20], theirs[sizeof(mine)];
	struct peal_sending part = { .data = mine, .length = sizeof(mine) };
	struct peal_options options;
	struct peal_listener *door;
	struct peal_link *link;
	ssize_t sent = -EAGAIN, got = -EAGAIN; /* not yet */

	peal_options_init(&options);
	options.max_message = sizeof(theirs);
	if (argc != 2 || (peal_connect(&link, argv[1], &options, 1000000000) &&
			  (peal_listen(&door, argv[1], &options) || peal_accept(door, &link, -1))))
		return fprintf(stderr, "exchange: %s\n", peal_error());
	while (sent == -EAGAIN || got == -EAGAIN) {
		sent = sent == -EAGAIN ? peal_send_part(peal_link_tx(link), &part, 0) : sent;
		got = got < 0 ? peal_recv(peal_link_rx(link), theirs, 8 << 20, NULL, 0) : got;
	}
	return printf("sent: %zd, received: %zd\n", sent, got) < 0;
}
