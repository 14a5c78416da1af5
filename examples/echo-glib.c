/* SPDX-License-Identifier: MIT */
/* Answers one client in GLib's loop. Usage: echo-glib ./echo.sock */
#include <glib-unix.h>
#include <peal.h>
static gboolean serve(gint fd, GIOCondition condition, gpointer link)
{
	static char text[65536];
	ssize_t n;
	do
		while ((n = peal_recv(peal_link_rx(link), text, sizeof(text), NULL, 0)) >= 0)
			peal_send(peal_link_tx(link), text, (size_t)n, 0, PEAL_FOREVER);
	while (n == -EAGAIN && peal_link_arm(link, PEAL_DATA) == 1);
	return n == -EAGAIN && fd && condition; /* else the peer has left */
}
int main(int argc, char **argv)
{
	struct peal_listener *listener;
	struct peal_link *link;
	if (argc != 2 || peal_listen(&listener, argv[1], NULL) ||
	    peal_accept(listener, &link, PEAL_FOREVER))
		return 1;
	g_unix_fd_add(peal_link_fd(link), G_IO_IN, serve, link);
	while (serve(-1, G_IO_IN, link))
		g_main_context_iteration(NULL, TRUE);
}
