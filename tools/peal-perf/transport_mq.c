/*
 * SPDX-License-Identifier: MIT
 *
 * POSIX message queues: one in each direction, made by its writer. On Linux they are descriptors:
 * so a queue loses its name as soon as it is made, and is handed to the other side as pipes are,
 * and none is left behind. A queue holds as many messages as the system's setting lets anybody have
 * in one (fs.mqueue.msg_max, 10 unless somebody raised it), but no more than an eighth of what a
 * user may have in queues, for four are open at a time where both ways of waiting are measured.
 * Spinning is O_NONBLOCK; sleeping is the ordinary blocking call. All messages have one priority.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complaint.h"
#include "meeting.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

#define MESSAGES_FILE "/proc/sys/fs/mqueue/msg_max"
#define MESSAGES_USUAL 10

/* What the kernel counts of a message beside its bytes, and a little more. */
#define OVERHEAD 128
#define SHARE 8 /* of a user's limit: one queue's part */

/* Names that are tried: others may bear the first ones. */
#define NAMES 1000

struct queues {
	mqd_t to, from; /* -1: not there yet */
	int listener;   /* -1: has been closed */
};

ALWAYS_INLINE int queue_send(void *end, const void *payload, size_t size)
{
	const struct queues *queues = end;

	while (mq_send(queues->to, payload, size, 0)) {
		int err = watch_retry("mq_send");

		if (err)
			return err;
	}
	return 0;
}

ALWAYS_INLINE int queue_recv(void *end, void *payload, size_t size)
{
	const struct queues *queues = end;
	ssize_t came;

	while ((came = mq_receive(queues->from, payload, size, NULL)) < 0) {
		int err = watch_retry("mq_receive");

		if (err)
			return err;
	}
	return __builtin_expect((size_t)came != size, 0) ? slice_wrong_size(size, (size_t)came) : 0;
}

static const struct verbs verbs = { .send = queue_send, .recv = queue_recv };

TRANSPORT_LOOPS(loops, verbs);

/* How many messages a queue may hold by the system's setting. */
static uint64_t messages_allowed(void)
{
	FILE *file = fopen(MESSAGES_FILE, "re");
	uint64_t allowed = 0;

	if (!file)
		return MESSAGES_USUAL;
	if (fscanf(file, "%" SCNu64, &allowed) != 1 || !allowed)
		allowed = MESSAGES_USUAL;
	fclose(file);
	return allowed;
}

/* How many it is to hold. */
static long messages_of(const struct setup *setup)
{
	uint64_t messages = messages_allowed(), most;
	struct rlimit limit;

	if (!getrlimit(RLIMIT_MSGQUEUE, &limit) && limit.rlim_cur != RLIM_INFINITY) {
		most = limit.rlim_cur / SHARE / (setup->size + OVERHEAD);
		if (messages > most)
			messages = most;
	}
	most = setup->ring / setup->size;
	if (messages > most)
		messages = most;
	return messages ? (long)messages : 1;
}

static mqd_t queue_new(const struct setup *setup)
{
	struct mq_attr about = {
		.mq_maxmsg = messages_of(setup),
		.mq_msgsize = (long)setup->size,
	};
	int flags = O_RDWR | O_CREAT | O_EXCL | (setup->wait == WAIT_SPIN ? O_NONBLOCK : 0);

	for (unsigned i = 0; i < NAMES; i++) {
		char name[40];
		mqd_t queue;

		snprintf(name, sizeof(name), "/peal-perf.%ld.%u", (long)getpid(), i);
		queue = mq_open(name, flags, S_IRUSR | S_IWUSR, &about);
		if (queue < 0 && errno == EEXIST)
			continue;
		if (queue < 0)
			break;
		mq_unlink(name);
		return queue;
	}
	return complain_errno("making a queue of messages of %" PRIu64 " bytes", setup->size);
}

static struct queues *queues_new(void)
{
	struct queues *queues = malloc(sizeof(*queues));

	if (!queues) {
		complain(-ENOMEM, "no memory for queues");
		return NULL;
	}
	queues->to = queues->from = queues->listener = -1;
	return queues;
}

static void queues_close(void *end)
{
	struct queues *queues = end;

	if (queues->to >= 0)
		mq_close(queues->to);
	if (queues->from >= 0)
		mq_close(queues->from);
	if (queues->listener >= 0)
		close(queues->listener);
	free(queues);
}

static int queues_exchange(struct queues *queues, int socket)
{
	int err = meeting_give(socket, &queues->to, 1);

	return err ? err : meeting_take(socket, &queues->from, 1);
}

static int queues_listen(const struct setup *setup, void **end)
{
	struct queues *queues = queues_new();
	int err;

	if (!queues)
		return -ENOMEM;
	err = queues->to = queue_new(setup);
	if (err >= 0)
		err = queues->listener = meeting_listen(setup->path, SOCK_SEQPACKET, 1);
	if (err < 0) {
		queues_close(queues);
		return err;
	}
	*end = queues;
	return 0;
}

static int queues_accept(void *end)
{
	struct queues *queues = end;
	int socket = meeting_accept(queues->listener);
	int err;

	if (socket < 0)
		return socket;
	err = queues_exchange(queues, socket);
	close(socket);
	close(queues->listener);
	queues->listener = -1;
	return err;
}

static int queues_connect(const struct setup *setup, void **end)
{
	struct queues *queues = queues_new();
	int socket = -1, err;

	if (!queues)
		return -ENOMEM;
	err = queues->to = queue_new(setup);
	if (err >= 0)
		err = socket = meeting_connect(setup->path, SOCK_SEQPACKET);
	if (err >= 0) {
		err = queues_exchange(queues, socket);
		close(socket);
	}
	if (err) {
		queues_close(queues);
		return err;
	}
	*end = queues;
	return 0;
}

/* Each end closes descriptors of its own. */
static int queue_again(mqd_t queue)
{
	int again = fcntl(queue, F_DUPFD_CLOEXEC, 0);

	return again < 0 ? complain_errno("duplicating a queue's descriptor") : again;
}

static int queues_pair(const struct setup *setup, void *ends[2])
{
	struct queues *one = queues_new(), *two = queues_new();
	int err = -ENOMEM;

	if (!one || !two)
		goto free_both;
	err = one->to = queue_new(setup);
	if (err >= 0)
		err = two->to = queue_new(setup);
	if (err >= 0)
		err = one->from = queue_again(two->to);
	if (err >= 0)
		err = two->from = queue_again(one->to);
	if (err < 0)
		goto close_both;
	ends[0] = one;
	ends[1] = two;
	return 0;

close_both:
	queues_close(one);
	queues_close(two);
	return err;
free_both:
	free(one);
	free(two);
	return err;
}

/* What queues there may be depends on the user and the system: it is tried. */
static const char *queues_refuse(const struct setup *setup)
{
	static char sentence[COMPLAINT_SIZE];
	void *ends[2];

	if (!queues_pair(setup, ends)) {
		queues_close(ends[0]);
		queues_close(ends[1]);
		return NULL;
	}
	snprintf(sentence, sizeof(sentence),
		 "%.160s: give a smaller --size, or raise fs.mqueue.msgsize_max or ulimit -q",
		 complaint());
	return sentence;
}

const struct transport transport_mq = {
	.name = "mq",
	.about = "two POSIX message queues",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.refuse = queues_refuse,
	.listen = queues_listen,
	.accept = queues_accept,
	.connect = queues_connect,
	.pair = queues_pair,
	.close = queues_close,
	.loops = &loops,
};
