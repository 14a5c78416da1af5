/*
 * SPDX-License-Identifier: MIT
 *
 * The driver. The partner is started by exec, so that it shares nothing with this process but the
 * control socket and what the transports make.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "driver.h"
#include "meeting.h"
#include "partner.h"
#include "process.h"
#include "watch.h"

/* What a slice, or an answer, may take beyond its time. */
#define PATIENCE_SECONDS 10

/* That a partner which has failed has to say so. */
#define REASON_MS 300

static void *thread_main(void *argument)
{
	struct driver *driver = argument;

	if (partner_settle(driver->cpus[1], driver->cpus[0] == driver->cpus[1]))
		watch_abandon();
	else
		partner_serve(driver->partner_control, true);
	close(driver->partner_control);
	return NULL;
}

static int start_thread(struct driver *driver)
{
	sigset_t all, before;
	int err;

	/* Signals are for this thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&driver->thread, NULL, thread_main, driver);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? complain(-err, "starting a thread: %s", strerror(err)) : 0;
}

static int start_process(struct driver *driver)
{
	pid_t pid = process_start(PARTNER_COMMAND, driver->partner_control, driver->cpus[1],
				  driver->cpus[0] == driver->cpus[1]);

	if (pid < 0)
		return (int)pid;
	driver->partner = pid;
	close(driver->partner_control);
	return 0;
}

int driver_start(struct driver *driver, const int cpus[2], bool threads)
{
	int sockets[2], err;

	memset(driver, 0, sizeof(*driver));
	driver->control = -1;
	driver->cpus[0] = cpus[0];
	driver->cpus[1] = cpus[1];
	err = meeting_pair(SOCK_SEQPACKET, sockets);
	if (err)
		return err;
	driver->control = sockets[0];
	driver->partner_control = sockets[1];
	err = threads ? start_thread(driver) : start_process(driver);
	if (err) {
		close(sockets[1]);
		close(sockets[0]);
		driver->control = -1;
		return err;
	}
	watch_begin(driver->partner);
	/* The runtime reads the affinity mask, and one CPU for a whole process means to it that
	 * spinning is of no use. So it is asked before pinning, unless both sides really share
	 * one. */
	return partner_settle(cpus[0], cpus[0] == cpus[1]);
}

int driver_folder_make(struct driver *driver)
{
	const char *base = getenv("TMPDIR");

	if (!base || base[0] != '/' || strlen(base) > 40)
		base = "/tmp";
	snprintf(driver->folder, sizeof(driver->folder), "%s/peal-perf.XXXXXX", base);
	if (mkdtemp(driver->folder))
		return 0;
	driver->folder[0] = 0;
	return complain_errno("making a folder for sockets in %s", base);
}

void driver_folder_remove(struct driver *driver)
{
	const struct dirent *entry;
	DIR *folder;

	if (!driver->folder[0])
		return;
	folder = opendir(driver->folder);
	while (folder && (entry = readdir(folder)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	rmdir(driver->folder);
	driver->folder[0] = 0;
}

/* Why nobody answers any more, as a complaint. */
static int partner_gone(const struct driver *driver)
{
	int status;

	if (watch_expired() && watch_interrupted())
		return complain(-ETIMEDOUT, "interrupted, but nothing moved any more");
	if (watch_expired())
		return complain(-ETIMEDOUT, "nothing moved for %d s", PATIENCE_SECONDS);
	if (!driver->partner)
		return complain(-ECONNRESET, "the partner's thread has ended");
	/* It may have closed its socket and not yet be dead; WNOWAIT leaves it to driver_stop. */
	for (int i = 0; i < 100; i++) {
		siginfo_t info = { .si_pid = 0 };

		if (!waitid(P_PID, (id_t)driver->partner, &info, WEXITED | WNOHANG | WNOWAIT) &&
		    info.si_pid) {
			status = info.si_status;
			return info.si_code == CLD_EXITED ?
				       complain(-ECONNRESET, "the partner has ended (exit code %d)",
						status) :
				       complain(-ECONNRESET,
						"the partner was killed by signal %d (%s)", status,
						strsignal(status));
		}
		usleep(10000);
	}
	return complain(-ECONNRESET, "the partner does not answer");
}

static int ask(const struct driver *driver, const struct request *request)
{
	return control_send(driver->control, request, sizeof(*request)) ? partner_gone(driver) : 0;
}

static int hear(const struct driver *driver, struct reply *reply)
{
	if (control_receive(driver->control, reply, sizeof(*reply)))
		return partner_gone(driver);
	return reply->err ? complain(reply->err, "%s", reply->why) : 0;
}

static int ask_and_hear(const struct driver *driver, const struct request *request)
{
	struct reply reply;
	int err = ask(driver, request);

	return err ? err : hear(driver, &reply);
}

static int open_threads(struct driver *driver, unsigned slot, const struct transport *transport,
			struct request *request)
{
	void *ends[2];
	int err = transport->pair(&request->setup, ends);

	if (err)
		return err;
	driver->ends[slot].end = ends[0];
	driver->ends[slot].transport = transport;
	request->end = ends[1];
	request->kind = REQUEST_ADOPT;
	return ask_and_hear(driver, request);
}

static int open_processes(struct driver *driver, unsigned slot, const struct transport *transport,
			  struct request *request)
{
	struct reply reply;
	void *end;
	int err;

	request->kind = REQUEST_LISTEN;
	err = ask_and_hear(driver, request);
	if (err)
		return err;
	request->kind = REQUEST_ACCEPT;
	err = ask(driver, request);
	if (err)
		return err;
	err = transport->connect(&request->setup, &end);
	if (err)
		return err;
	driver->ends[slot].end = end;
	driver->ends[slot].transport = transport;
	return hear(driver, &reply);
}

int driver_open(struct driver *driver, const struct transport *transport, struct setup *setup)
{
	unsigned slot = driver->slots;
	struct request request;
	int err;

	if (slot == CONTROL_SLOTS)
		return complain(-EMFILE, "at most %d transports at a time", CONTROL_SLOTS);
	snprintf(setup->path, sizeof(setup->path), "%s/%u", driver->folder, slot);
	memset(&request, 0, sizeof(request));
	request.slot = slot;
	request.setup = *setup;
	snprintf(request.transport, sizeof(request.transport), "%s", transport->name);
	watch_arm(PATIENCE_SECONDS);
	err = buffers_set(&driver->buffers, setup->size, setup->batch);
	if (!err)
		err = driver->partner ? open_processes(driver, slot, transport, &request) :
					open_threads(driver, slot, transport, &request);
	watch_disarm();
	if (err)
		return err;
	driver->slots++;
	return (int)slot;
}

/* Whether the two sides agree on what was sent. */
static int compare(enum test_id test, const struct slice *slice, const struct reply *reply)
{
	bool reverse = test == TEST_RATE;

	if (test != TEST_FLOOR && slice->messages != reply->messages)
		return complain(-EBADMSG,
				"%" PRIu64 " messages were sent, but %" PRIu64 " were received",
				reverse ? reply->messages : slice->messages,
				reverse ? slice->messages : reply->messages);
	return 0;
}

/* Whether the partner has something to say, or is gone, after an error on this side. */
static bool says_why(const struct driver *driver)
{
	struct pollfd control = { .fd = driver->control, .events = POLLIN };

	return watch_abandoned() || poll(&control, 1, REASON_MS) > 0 || watch_abandoned();
}

int driver_run(struct driver *driver, unsigned slot, enum test_id test, bool in_place,
	       struct slice *slice, struct usage usage[SIDES])
{
	const struct transport *transport = driver->ends[slot].transport;
	const struct loops *loops = transport_loops(transport, in_place, slice->batch);
	bool thread = !driver->partner;
	struct request request;
	struct usage before;
	struct reply reply;
	int err;

	memset(&request, 0, sizeof(request));
	request.kind = REQUEST_SLICE;
	request.slot = slot;
	request.setup.size = slice->size;
	request.setup.batch = slice->batch;
	request.test = test;
	request.in_place = in_place;
	request.payload = slice->payload;
	request.ticks = slice->ticks;
	request.step = slice->step;
	slice->out = driver->buffers.out;
	slice->in = driver->buffers.in;

	watch_arm(PATIENCE_SECONDS);
	err = ask(driver, &request);
	if (err)
		goto disarm;
	before = usage_now(thread);
	err = loops->run[test][INITIATOR](driver->ends[slot].end, slice);
	usage[INITIATOR] = usage_since(&before, thread);
	/* A side that has given up, or lost its peer, is to hear the reason from the other one. */
	if (!err || says_why(driver)) {
		int heard = hear(driver, &reply);

		if (heard)
			err = heard;
	}
	if (!err)
		err = compare(test, slice, &reply);
	if (err)
		goto disarm;
	usage[ANSWERER] = reply.usage;
	slice->partner_width = reply.width;
	slice->late = reply.late;
	slice->empty_poll = reply.empty_poll;
	if (test == TEST_STREAM) {
		slice->count = reply.count;
		slice->elapsed = reply.elapsed;
	}

disarm:
	watch_disarm();
	return err;
}

static void ends_close(struct driver *driver)
{
	for (unsigned i = 0; i < CONTROL_SLOTS; i++) {
		if (driver->ends[i].transport)
			driver->ends[i].transport->close(driver->ends[i].end);
		driver->ends[i].transport = NULL;
	}
	driver->slots = 0;
}

int driver_close(struct driver *driver)
{
	struct request request;
	int err;

	memset(&request, 0, sizeof(request));
	request.kind = REQUEST_CLOSE;
	watch_arm(PATIENCE_SECONDS);
	err = ask_and_hear(driver, &request);
	ends_close(driver);
	watch_disarm();
	return err;
}

void driver_stop(struct driver *driver, bool failed)
{
	driver_folder_remove(driver);
	watch_end();
	if (driver->control < 0)
		return;
	/* A thread that is still in a wait cannot be ended but with the process. */
	if (failed && !driver->partner)
		return;
	if (failed)
		kill(driver->partner, SIGKILL);
	close(driver->control);
	driver->control = -1;
	if (driver->partner)
		waitpid(driver->partner, NULL, 0);
	else
		pthread_join(driver->thread, NULL);
	ends_close(driver);
	buffers_free(&driver->buffers);
}
