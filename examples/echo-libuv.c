#include <peal.h>
#include <uv.h>
static void serve(uv_poll_t *poll, int status, int events)
{
	static char text[65536];
	ssize_t n = status + events;
	do
		while ((n = peal_recv(peal_link_rx(poll->data), text, sizeof(text), NULL, 0)) >= 0)
			peal_send(peal_link_tx(poll->data), text, (size_t)n, 0, 0);
	while (n == -EAGAIN && peal_link_arm(poll->data, PEAL_DATA) == 1);
	if (n != -EAGAIN)
		uv_poll_stop(poll); /* the peer has left */
}
int main(int argc, char **argv)
{
	struct peal_listener *listener;
	uv_poll_t poll;
	if (argc != 2 || peal_listen(&listener, argv[1], NULL) ||
	    peal_accept(listener, (struct peal_link **)&poll.data, PEAL_FOREVER))
		return 1;
	uv_poll_init(uv_default_loop(), &poll, peal_link_fd(poll.data));
	uv_poll_start(&poll, UV_READABLE, serve);
	serve(&poll, 0, 0);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
