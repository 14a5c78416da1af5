/*
 * SPDX-License-Identifier: MIT
 *
 * A server of the test's own process, and what its children try.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/limits/host.h"

struct folder folder, other;
struct peal_server *server;
struct rlimit was;

static void echo(void *data, struct peal_request *request)
{
	(void)data;
	peal_reply(request, request->data, request->length, 0);
}

int host_open(struct peal_server **made, const char *path, uint32_t workers)
{
	struct peal_options link = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_server_options options;

	peal_server_options_init(&options);
	options.link = &link;
	options.workers = workers;
	options.ready = UINT32_MAX; /* what is ready ahead would hide a limit */
	options.handlers.message = echo;
	return peal_server_open(made, path, &options);
}

void host_set_up(void)
{
	folder_make(&folder);
	folder_make(&other);
	ck_assert_int_eq(host_open(&server, folder.path, 1), 0);
}

void host_tear_down(void)
{
	peal_server_close(server);
	folder_remove(&folder);
	folder_remove(&other);
}

void host_serve(struct child *child)
{
	siginfo_t about = { .si_pid = 0 };

	while (!about.si_pid) {
		int got = peal_server_step(server, 2 * MS);

		ck_assert_msg(got >= 0 || got == -ETIMEDOUT, "%d %s", got, peal_error());
		ck_assert_int_eq(
			waitid(P_PID, (id_t)child->pid, &about, WEXITED | WNOHANG | WNOWAIT), 0);
	}
	child_end(child);
}

int exchange(struct peal_link *link)
{
	char reply[8];
	ssize_t length = peal_call(link, "limits", 6, reply, sizeof(reply), NULL, LONG);

	return length < 0 ? (int)length : length == 6 && !memcmp(reply, "limits", 6) ? 0 : -EILSEQ;
}

int use_pair(struct peal_link *links[2])
{
	char buffer[8];
	int err = peal_send(peal_link_tx(links[0]), "pair", 4, 0, 0);
	ssize_t length;

	if (err)
		return err;
	length = peal_recv(peal_link_rx(links[1]), buffer, sizeof(buffer), NULL, 0);
	return length == 4 ? 0 : length < 0 ? (int)length : -EILSEQ;
}

/* In fragments, of which those that fit are joined. */
static int use_large(struct peal_link *links[2])
{
	static uint8_t large[100000];
	int err = peal_send(peal_link_tx(links[1]), large, sizeof(large), 0, MS / 10);

	if (err != -ETIMEDOUT)
		return err ? err : -EILSEQ;
	err = (int)peal_recv(peal_link_rx(links[0]), large, sizeof(large), NULL, 0);
	return err == -EAGAIN ? 0 : err;
}

int try_pair(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_link *links[2];
	int err;

	options.max_message = 16 << 20;
	options.flags = PEAL_PREFAULT;
	err = peal_pair(links, &options);
	if (err)
		return err;
	err = use_pair(links);
	if (!err)
		err = use_large(links);
	pair_close(links);
	return err;
}

int try_link(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_link *link;
	int err;

	options.flags = PEAL_CALLS;
	err = peal_connect(&link, folder.path, &options, LONG);
	if (err)
		return err;
	err = exchange(link);
	peal_close(link);
	return err;
}

bool lower(resource which, rlim_t to)
{
	struct rlimit now;

	if (getrlimit(which, &was))
		return false;
	now = was;
	now.rlim_cur = to;
	return !setrlimit(which, &now);
}

bool settles(int descriptors, int mapped)
{
	const struct timespec moment = { .tv_nsec = MS };

	for (int i = 0; i < 10000; i++) {
		if (descriptors_count() <= descriptors &&
		    (mapped < 0 || mappings_count() <= mapped))
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}
