/*
 * SPDX-License-Identifier: MIT
 *
 * The server's process. Its first thread serves; a second one sleeps on the control socket, and
 * takes no part but to tell what the first one has done.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "complaint.h"
#include "options.h"
#include "orders.h"
#include "process.h"

struct served {
	int control;
	const struct service *service;
	void *server;
};

/* How often a thread has gone to sleep. */
static uint64_t sleeps_of(const char *thread)
{
	uint64_t sleeps = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", thread);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &sleeps) == 1)
			break;
	if (file)
		fclose(file);
	return sleeps;
}

/* Of all threads but this one. */
static uint64_t sleeps_now(void)
{
	DIR *folder = opendir("/proc/self/task");
	long self = syscall(SYS_gettid);
	const struct dirent *entry;
	uint64_t sleeps = 0;

	while (folder && (entry = readdir(folder)))
		if (atol(entry->d_name) > 0 && atol(entry->d_name) != self)
			sleeps += sleeps_of(entry->d_name);
	if (folder)
		closedir(folder);
	return sleeps;
}

static void tell(const struct served *served, struct answer *answer)
{
	struct usage all = usage_now(false), own = usage_now(true);

	answer->usage.cpu_s = all.cpu_s - own.cpu_s;
	answer->usage.switches = all.switches - own.switches;
	answer->sleeps = sleeps_now();
	served->service->count(served->server, &answer->service);
}

static void *answer_orders(void *data)
{
	struct served *served = data;
	struct order order;
	struct answer answer;

	while (!control_receive(served->control, &order, sizeof(order))) {
		memset(&answer, 0, sizeof(answer));
		tell(served, &answer);
		if (control_send(served->control, &answer, sizeof(answer)))
			break;
	}
	served->service->stop(served->server);
	return NULL;
}

static int serve(struct served *served)
{
	sigset_t all, before;
	pthread_t thread;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, NULL, answer_orders, served);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return complain(-err, "starting a thread: %s", strerror(err));
	err = served->service->run(served->server);
	if (err)
		return err; /* the driver sees it die, and the other thread with it */
	pthread_join(thread, NULL);
	return 0;
}

int server_main(int argc, char **argv)
{
	struct served served = { .control = process_enter(argc, argv) };
	static struct order order;
	struct answer answer;
	int err;

	if (served.control < 0)
		return argc == 5 ? 1 : EXIT_USAGE;
	if (control_receive(served.control, &order, sizeof(order)))
		return 1;
	memset(&answer, 0, sizeof(answer));
	served.service = transport_by_name(order.transport)->service;
	err = answer.err = served.service->open(&order.setup, &served.server);
	if (err)
		snprintf(answer.why, sizeof(answer.why), "%s", complaint());
	if (control_send(served.control, &answer, sizeof(answer)))
		err = err ? err : -ECONNRESET;
	if (err)
		return 1;
	err = serve(&served);
	if (err) {
		fprintf(stderr, "peal-perf: the server: %s\n", complaint());
		return 1;
	}
	served.service->close(served.server);
	return 0;
}
