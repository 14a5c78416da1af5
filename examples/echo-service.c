/* SPDX-License-Identifier: MIT */
/* Answers any number of clients, until SIGTERM. Usage: echo-service ./echo.sock, or systemd:echo */
#include <peal.h>
#include <signal.h>
static struct peal_server *server;
static void stop(int signal)
{
	(void)signal, peal_server_stop(server); /* NOLINT(bugprone-signal-handler): meant for it */
}
static void echo(void *data, struct peal_request *request)
{
	(void)data, peal_reply(request, request->data, request->length, 0);
}
int main(int argc, char **argv)
{
	struct peal_server_options options;
	peal_server_options_init(&options);
	options.handlers.message = echo;
	options.reply = 65520; /* as long as any request: there is room for it */
	options.flags = PEAL_SERVER_NOTIFY | PEAL_SERVER_RAISE_NOFILE;
	if (argc != 2 || peal_server_open(&server, argv[1], &options))
		return 2;
	signal(SIGTERM, stop);
	return peal_server_run(server) ? 1 : 0; /* peal_server_close is for those that go on */
}
