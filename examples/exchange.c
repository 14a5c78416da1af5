/* SPDX-License-Identifier: MIT */
/* Start it twice: both send each other 8 MiB at once, a thread each. Usage: exchange ./x.sock */
#include <peal.h>
#include <poll.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	static char mine[8 << 20], theirs[8 << 20];
	struct peal_sending part = { .data = mine, .length = sizeof(mine) };
	struct peal_options options = { sizeof(options), PEAL_ABI, .max_message = sizeof(theirs) };
	struct peal_listener *door = NULL;
	struct peal_link *link;
	ssize_t sent = -EAGAIN, got = -EAGAIN; /* not yet */
	if (argc != 2 || (peal_connect(&link, argv[1], &options, 1000000000) &&
			  (peal_listen(&door, argv[1], &options) || peal_accept(door, &link, -1))))
		return fprintf(stderr, "exchange: %s\n", peal_error());
	while (got == -EAGAIN && (sent = peal_send_part(peal_link_tx(link), &part, 0)) == -EAGAIN)
		if ((got = peal_recv(peal_link_rx(link), theirs, 8 << 20, NULL, 0)) == -EAGAIN &&
		    peal_link_arm(link, PEAL_DATA | PEAL_ROOM) == 0)
			poll(&(struct pollfd){ peal_link_fd(link), POLLIN, 0 }, 1, -1);
	sent = sent ? peal_send_part(peal_link_tx(link), &part, -1) : 0;
	got = got < 0 ? peal_recv(peal_link_rx(link), theirs, 8 << 20, NULL, -1) : got;
	peal_close(link), peal_listener_close(door);
	return printf("sent: %zd, received: %zd\n", sent, got) < 0;
}
