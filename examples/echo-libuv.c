/* SPDX-License-Identifier: MIT */
/* Answers one client in libuv's loop. Usage: echo-libuv ./echo.sock */
#include <peal.h>
#include <uv.h>
static void serve(uv_poll_t *poll, int status, int events)
{
	static char text[65536];
	ssize_t n = 0;
	while (n >= 0 || (n == -EAGAIN && peal_link_arm(poll->data, PEAL_DATA) == 1))
		if ((n = peal_recv(peal_link_rx(poll->data), text, sizeof(text), NULL, 0)) >= 0)
			peal_send(peal_link_tx(poll->data), text, (size_t)n, 0, PEAL_FOREVER);
	if (n != -EAGAIN || status || events < 0)
		uv_poll_stop(poll); /* the peer has left */
}
int main(int argc, char **argv)
{
	struct peal_listener *door;
	struct peal_link *link;
	if (argc != 2 || peal_listen(&door, argv[1], NULL) || peal_accept(door, &link, -1))
		return 1;
	uv_poll_t poll = { .data = link };
	uv_poll_init(uv_default_loop(), &poll, peal_link_fd(link));
	uv_poll_start(&poll, UV_READABLE, serve);
	return serve(&poll, 0, 0), uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
