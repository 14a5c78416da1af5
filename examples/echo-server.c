/* SPDX-License-Identifier: MIT */
/* Answers every message with itself, one client after the other. Usage: echo-server ./echo.sock */
#include <peal.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct peal_listener *listener;
	struct peal_link *link;
	struct peal_message m;
	static char text[65536];

	if (argc != 2 || peal_listen(&listener, argv[1], NULL)) {
		fprintf(stderr, "echo-server: %s\n", argc == 2 ? peal_error() : "give an address");
		return 1;
	}
	while (!peal_accept(listener, &link, PEAL_FOREVER)) {
		while (peal_recv(peal_link_rx(link), text, sizeof(text), &m, PEAL_FOREVER) >= 0)
			peal_send(peal_link_tx(link), text, m.length, m.tag, PEAL_FOREVER);
		fprintf(stderr, "%s left: %s\n", peal_link_peer(link)->name, peal_error());
		peal_close(link);
	}
	return 1;
}
