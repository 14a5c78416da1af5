/*
 * SPDX-License-Identifier: MIT
 *
 * Trials: a child, in it a pair, and two threads on two CPUs that spin. One makes messages until it
 * is told to stop, the other one takes them and the time. Before that the two hand each other a
 * cache line, so that what the machine itself takes stands beside it.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal.h>

#include "figure.h"
#include "tools/peal-perf/complaint.h"
#include "trial.h"

#define MESSAGE 64
#define BATCH 16
#define LAST 1 /* the tag of the last message */

/* Times are taken of slices, of which the middle one counts: a thread that lost its CPU for a while
 * spoils one. */
#define SLICES_MAX 4096
#define SLICE_NS 20000
#define FLOOR_TRIPS 32

#define FLOOR_PART 5 /* of a trial's time */
#define WARM_PART 5

/* How much longer than its measurements a child may take, before it is taken for hung. */
#define PATIENCE_S 60

/*
 * Children
 */

/* What a child leaves behind, in memory that it shares with its parent. */
struct slate {
	int err;
	char complaint[COMPLAINT_SIZE];
	uint64_t sum; /* of all that was read, so that reading it is not for nothing */
	union {
		struct trial_outcome outcome;
		struct {
			int count;
			struct trial_variant list[TRIAL_VARIANTS];
		} variants;
	};
};

static void set_number(const char *variable, uint32_t value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	setenv(variable, text, 1);
}

/* Runs a function in a child in which the library is fresh, and whose settings are these. */
static int in_child(int (*run)(const void *task, struct slate *slate), const void *task,
		    const char *variant, uint64_t seconds, struct slate *copy)
{
	struct slate *slate = mmap(NULL, sizeof(*slate), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t child;

	if (slate == MAP_FAILED)
		return complain_errno("no memory to share with a child");
	fflush(stdout);
	child = fork();
	if (!child) {
		alarm((unsigned)(PATIENCE_S + seconds));
		unsetenv("PEAL_PREFETCH");
		unsetenv("PEAL_INLINE_COPY");
		unsetenv("PEAL_PAUSE_NS");
		unsetenv("PEAL_RING_VARIANT");
		if (variant)
			setenv("PEAL_RING_VARIANT", variant, 1);
		slate->err = run(task, slate);
		snprintf(slate->complaint, sizeof(slate->complaint), "%s", complaint());
		_exit(0);
	}
	if (child < 0)
		slate->err = complain_errno("no child can be made");
	else if (waitpid(child, &status, 0) != child || status)
		slate->err = complain(-ECHILD, "a measurement ended with status %d", status);
	else if (slate->err)
		complain(slate->err, "%s", slate->complaint);
	*copy = *slate;
	munmap(slate, sizeof(*slate));
	return copy->err;
}

/*
 * What is usable
 */

static uint32_t number_of(const char *name)
{
	struct peal_fact fact;

	for (unsigned i = 0; !peal_runtime_fact(i, &fact); i++)
		if (!strcmp(fact.group, "ring") && !strcmp(fact.name, name))
			return (uint32_t)strtoul(fact.value, NULL, 10);
	return 0;
}

static int list(const void *task, struct slate *slate)
{
	struct peal_choice choice;
	int count = 0;

	(void)task;
	for (unsigned i = 0; !peal_runtime_choice(i, &choice) && count < TRIAL_VARIANTS; i++)
		if (!strcmp(choice.job, "ring") && choice.usable)
			snprintf(slate->variants.list[count++].name,
				 sizeof(slate->variants.list[0].name), "%s", choice.name);
	slate->variants.count = count;
	return 0;
}

static int ask_numbers(const void *task, struct slate *slate)
{
	(void)task;
	slate->variants.list[0].prefetch = number_of("prefetch");
	slate->variants.list[0].inline_copy = number_of("inline-copy");
	slate->variants.list[0].pause_ns = number_of("pause");
	return 0;
}

int trial_variants(struct trial_variant variants[TRIAL_VARIANTS])
{
	struct slate slate = { .err = 0 };
	int count, err = in_child(list, NULL, NULL, 0, &slate);

	if (err)
		return err;
	count = slate.variants.count;
	memcpy(variants, slate.variants.list, sizeof(slate.variants.list));
	for (int i = 0; i < count; i++) {
		err = in_child(ask_numbers, NULL, variants[i].name, 0, &slate);
		if (err)
			return err;
		variants[i].prefetch = slate.variants.list[0].prefetch;
		variants[i].inline_copy = slate.variants.list[0].inline_copy;
		variants[i].pause_ns = slate.variants.list[0].pause_ns;
	}
	return count;
}

/*
 * The two threads
 */

struct stage {
	const struct trial *trial;
	struct peal_tx *tx;      /* the maker's, */
	struct peal_rx *rx;      /* the taker's, */
	struct peal_tx *tx_back; /* and the way back */
	struct peal_rx *rx_back;
	int err; /* the maker's, with its complaint */
	char complaint[COMPLAINT_SIZE];
	double slices[SLICES_MAX]; /* ticks of one trip or message in each */

	/* The floor: each line has one writer. */
	uint64_t there __attribute__((aligned(PEAL_LINE)));
	uint64_t back __attribute__((aligned(PEAL_LINE)));
	int stop __attribute__((aligned(PEAL_LINE))); /* the maker; atomic */
};

#define FLOOR_END UINT64_MAX

/* Hands back what comes, until the end. */
static void answer_lines(struct stage *stage)
{
	uint64_t seen = 0;

	while (seen != FLOOR_END) {
		/* Pairs with the release in hand_over. */
		uint64_t now = __atomic_load_n(&stage->there, __ATOMIC_ACQUIRE);

		if (now == seen)
			continue;
		seen = now;
		/* Pairs with the acquire in hand_over. */
		__atomic_store_n(&stage->back, seen, __ATOMIC_RELEASE);
	}
}

static void hand_over(struct stage *stage, uint64_t value)
{
	/* Pairs with the acquire in answer_lines. */
	__atomic_store_n(&stage->there, value, __ATOMIC_RELEASE);
	/* Pairs with the release there. */
	while (__atomic_load_n(&stage->back, __ATOMIC_ACQUIRE) != value)
		;
}

static double time_lines(struct stage *stage, double ticks)
{
	uint64_t trips = 0, begun, last, now;
	unsigned slices = 0;

	while (trips < 1000)
		hand_over(stage, ++trips);
	begun = last = now = peal_ticks();
	while (slices < SLICES_MAX && (!slices || (double)(now - begun) < ticks)) {
		for (int i = 0; i < FLOOR_TRIPS; i++)
			hand_over(stage, ++trips);
		now = peal_ticks();
		stage->slices[slices++] = (double)(now - last) / FLOOR_TRIPS;
		last = now;
	}
	hand_over(stage, FLOOR_END);
	return figure_of(stage->slices, slices).middle / peal_ticks_per_ns();
}

/* The length of the i-th message. */
static size_t length_of(enum trial_work work, unsigned i)
{
	return work == TRIAL_COPY ? 8 + 8 * (i % (MESSAGE / 8)) : MESSAGE;
}

static int make_messages(struct stage *stage)
{
	static const uint8_t bytes[MESSAGE] = { 1 };
	bool batched = stage->trial->work == TRIAL_DRAIN;
	uint8_t back[MESSAGE];
	unsigned i = 0;
	int err = 0;

	/* Pairs with the store in take_messages; nothing else is read by it. */
	while (!err && !__atomic_load_n(&stage->stop, __ATOMIC_RELAXED)) {
		/* The next one goes when this one is back. */
		if (i && stage->trial->work == TRIAL_TRIP)
			err = (int)peal_recv(stage->rx_back, back, MESSAGE, NULL, PEAL_FOREVER);
		if (err > 0)
			err = 0;
		for (unsigned k = 1; !err && batched && k < BATCH; k++)
			err = peal_send_more(stage->tx, bytes, MESSAGE, 0, PEAL_FOREVER);
		if (!err)
			err = peal_send(stage->tx, bytes, length_of(stage->trial->work, i++), 0,
					PEAL_FOREVER);
	}
	if (!err)
		err = peal_send(stage->tx, bytes, 0, LAST, PEAL_FOREVER);
	return err ? complain(err, "%s", peal_error()) : 0;
}

/* What a program does with a message, at least: reads all of it. */
struct reading {
	uint64_t sum;
	bool last;
};

static int read_whole(void *data, const struct peal_message *message)
{
	struct reading *reading = data;
	uint64_t words[MESSAGE / 8];

	reading->last = message->tag == LAST;
	memcpy(words, message->data, message->length < MESSAGE ? message->length : MESSAGE);
	for (size_t i = 0; i < message->length / 8; i++)
		reading->sum += words[i];
	return 0;
}

/* Takes some messages. How many, or a negative errno. */
static int take(struct stage *stage, struct reading *reading)
{
	uint8_t buffer[MESSAGE];
	struct peal_message message;

	if (stage->trial->work == TRIAL_DRAIN)
		return peal_drain(stage->rx, read_whole, reading, 0, PEAL_FOREVER);
	for (int i = 0; i < BATCH; i++) {
		ssize_t length = peal_recv(stage->rx, buffer, sizeof(buffer), &message,
					   PEAL_FOREVER);

		if (length < 0)
			return (int)length;
		if (stage->trial->work == TRIAL_TRIP && message.tag != LAST) {
			int err = peal_send(stage->tx_back, buffer, (size_t)length, 0,
					    PEAL_FOREVER);

			if (err)
				return err;
		}
		message.data = buffer;
		read_whole(reading, &message);
		if (reading->last)
			return i + 1;
	}
	return BATCH;
}

static int take_messages(struct stage *stage, double ticks, double *message_ns, uint64_t *sum)
{
	const double slice = SLICE_NS * peal_ticks_per_ns();
	struct reading reading = { 0, false };
	uint64_t begun = peal_ticks(), last = begun, now, count = 0;
	bool stopped = false;
	unsigned slices = 0;

	while (!reading.last) {
		int some = take(stage, &reading);

		if (some < 0)
			return complain(some, "%s", peal_error());
		count += (uint64_t)some;
		now = peal_ticks();
		if (stopped || (double)(now - last) < slice)
			continue;
		if ((double)(now - begun) > ticks / WARM_PART)
			stage->slices[slices++] = (double)(now - last) / (double)count;
		last = now;
		count = 0;
		stopped = slices == SLICES_MAX || (slices && (double)(now - begun) > ticks);
		/* Pairs with the load in make_messages. */
		__atomic_store_n(&stage->stop, stopped, __ATOMIC_RELAXED);
	}
	if (!slices)
		return complain(-ECANCELED, "the other thread stopped before its time");
	*message_ns = figure_of(stage->slices, slices).middle / peal_ticks_per_ns();
	*sum = reading.sum;
	return 0;
}

static int pin(int cpu)
{
	int err = peal_cpu_pin(cpu, NULL);

	return err ? complain(err, "%s", peal_error()) : 0;
}

static void *maker(void *data)
{
	struct stage *stage = data;

	stage->err = pin(stage->trial->cpus[1]);
	answer_lines(stage);
	if (stage->err)
		peal_send(stage->tx, "", 0, LAST, PEAL_FOREVER);
	else
		stage->err = make_messages(stage);
	snprintf(stage->complaint, sizeof(stage->complaint), "%s", complaint());
	return NULL;
}

static int measure(const void *task, struct slate *slate)
{
	const struct trial *trial = task;
	struct stage stage = { .trial = trial };
	struct peal_options options;
	struct peal_link *links[2];
	double ticks;
	pthread_t thread;
	int err;

	if (trial->variable)
		set_number(trial->variable, trial->value);
	peal_options_init(&options);
	options.wait = PEAL_WAIT_SPIN;
	err = pin(trial->cpus[0]);
	if (err)
		return err;
	err = peal_pair(links, &options);
	if (err)
		return complain(err, "%s", peal_error());
	stage.tx = peal_link_tx(links[1]);
	stage.rx = peal_link_rx(links[0]);
	stage.tx_back = peal_link_tx(links[0]);
	stage.rx_back = peal_link_rx(links[1]);
	ticks = (double)trial->duration_ns * peal_ticks_per_ns();
	err = -pthread_create(&thread, NULL, maker, &stage);
	if (err) {
		complain(err, "no thread can be made: %s", strerror(-err));
	} else {
		slate->outcome.floor_ns = time_lines(&stage, ticks / FLOOR_PART);
		err = take_messages(&stage, ticks, &slate->outcome.message_ns, &slate->sum);
		if (!err || err == -ECANCELED) {
			pthread_join(thread, NULL);
			if (stage.err)
				err = complain(stage.err, "%s", stage.complaint);
		}
	}
	if (!err) {
		peal_close(links[0]);
		peal_close(links[1]);
	}
	return err;
}

int trial_run(const struct trial *trial, struct trial_outcome *outcome)
{
	struct slate slate = { .err = 0 };
	int err = in_child(measure, trial, trial->variant, trial->duration_ns / 1000000000 * 4,
			   &slate);

	*outcome = slate.outcome;
	return err;
}
