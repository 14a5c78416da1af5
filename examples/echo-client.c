/* SPDX-License-Identifier: MIT */
/* Sends one message and prints the answer. Usage: echo-client ./echo.sock TEXT */
#include <peal.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct peal_link *link;
	char text[1024];
	ssize_t length;

	if (argc != 3 || peal_connect(&link, argv[1], NULL, 1000000000) ||
	    peal_send(peal_link_tx(link), argv[2], strlen(argv[2]), 0, 1000000000) ||
	    (length = peal_recv(peal_link_rx(link), text, sizeof(text), NULL, 1000000000)) < 0) {
		fprintf(stderr, "echo-client: %s\n",
			argc == 3 ? peal_error() : "give me an address and a text");
		return 1;
	}
	printf("%.*s\n", (int)length, text);
	peal_close(link);
	return 0;
}
