/* SPDX-License-Identifier: MIT */
/* Answers any number of clients in one thread. Usage: echo-set ./echo.sock */
#include <peal.h>
#include <poll.h>
int main(int argc, char **argv)
{
	struct peal_listener *listener;
	struct peal_link *link;
	struct peal_set *set;
	static char text[65536];
	if (argc != 2 || peal_listen(&listener, argv[1], NULL) || peal_set_create(&set))
		return 1;
	struct pollfd fds[] = { { peal_listener_fd(listener), POLLIN, 0 },
				{ peal_set_fd(set), POLLIN, 0 } };
	for (ssize_t n;; poll(fds, 2, peal_set_arm(set) == 1 ? 0 : -1)) {
		while (!peal_accept(listener, &link, 0))
			peal_set_add(set, link, NULL);
		for (peal_set_wait(set, 0); (link = peal_set_next(set, NULL));) {
			if ((n = peal_recv(peal_link_rx(link), text, 65536, NULL, 0)) >= 0)
				n = peal_send(peal_link_tx(link), text, (size_t)n, 0, 1000000000);
			if (n && n != -EAGAIN && !peal_set_remove(set, link)) /* gone, or stuck */
				peal_close(link);
		}
	}
}
