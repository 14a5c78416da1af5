/* SPDX-License-Identifier: MIT */
/* Answers one client in an edge-triggered loop. Usage: echo-epoll ./echo.sock */
#include <peal.h>
#include <sys/epoll.h>

int main(int argc, char **argv)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct peal_listener *listener;
	struct peal_link *link;
	static char text[65536];
	ssize_t n = -EAGAIN;
	if (argc != 2 || peal_listen(&listener, argv[1], NULL) ||
	    peal_accept(listener, &link, PEAL_FOREVER) ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, peal_link_fd(link), &event))
		return 1;
	while (n == -EAGAIN) {
		while ((n = peal_recv(peal_link_rx(link), text, sizeof(text), NULL, 0)) >= 0)
			peal_send(peal_link_tx(link), text, (size_t)n, 0, PEAL_FOREVER);
		if (n == -EAGAIN && peal_link_arm(link, PEAL_DATA) == 0)
			epoll_wait(poller, &event, 1, -1);
	}
	return 0;
}
