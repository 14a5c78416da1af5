/*
 * SPDX-License-Identifier: MIT
 *
 * A user's program, as small as can be: a message goes from one end of a pair to the other, and two
 * CPUs are chosen. Built by tests/installed/run with nothing but what pkg-config says.
 */
#include <peal.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
	const int64_t second = 1000000000;
	struct peal_link *links[2];
	char buffer[16] = "";
	int pair[2];

	if (strcmp(peal_runtime_version(), PEAL_VERSION) != 0) {
		fprintf(stderr, "headers are %s, the library is %s\n", PEAL_VERSION,
			peal_runtime_version());
		return 1;
	}
	if (peal_pair(links, NULL) || peal_send(peal_link_tx(links[0]), "ding", 5, 7, second) ||
	    peal_recv(peal_link_rx(links[1]), buffer, sizeof(buffer), NULL, second) != 5 ||
	    peal_cpu_pair(PEAL_SAME_LLC, pair) < 0) {
		fprintf(stderr, "%s\n", peal_error());
		return 1;
	}
	peal_close(links[0]);
	peal_close(links[1]);
	return strcmp(buffer, "ding") != 0;
}
