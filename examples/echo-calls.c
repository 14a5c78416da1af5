/* SPDX-License-Identifier: MIT */
/* Each line that it reads is a call, which outlives the server. Usage: echo-calls ./echo.sock */
#include <peal.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct peal_client *client;
	struct peal_answer a;
	char text[1024];

	if (argc != 2 || peal_client_open(&client, argv[1], NULL)) {
		fprintf(stderr, "echo-calls: %s\n", argc == 2 ? peal_error() : "give an address");
		return 1;
	}
	while (!fflush(stdout) && fgets(text, sizeof(text), stdin) &&
	       !peal_client_call(client, text, strlen(text), PEAL_IDEMPOTENT, &a, 5000000000))
		if (a.verdict == PEAL_REPLY)
			fwrite(a.data, 1, a.length, stdout);
		else
			fprintf(stderr, "echo-calls: %s\n", peal_error());
	peal_client_close(client);
	return 0;
}
