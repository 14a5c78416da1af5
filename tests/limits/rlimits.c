/*
 * SPDX-License-Identifier: MIT
 *
 * Limits of a process that are reached midway, at each step of what is being made: of its address
 * space, its data, its mappings and its descriptors. It is an error that says so, nothing of it is
 * left, what is there already goes on, and with the limit gone it can be made.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <peal/client.h>
#include <peal/monitor.h>

#include "tests/limits/host.h"

/*
 * What is tried with little left. Each makes something, uses it, and closes it.
 */

static int try_client(void)
{
	struct peal_answer answer = { .err = 0 };
	struct peal_client_options options;
	struct peal_client *client;
	int err;

	peal_client_options_init(&options);
	options.calls = 4;
	err = peal_client_open(&client, folder.path, &options);
	if (err)
		return err;
	err = peal_client_call(client, "limits", 6, PEAL_NOW, &answer, LONG);
	if (!err && answer.verdict != PEAL_REPLY)
		err = answer.err;
	else if (!err && answer.length != 6)
		err = -EILSEQ;
	peal_client_close(client);
	return err;
}

static int try_monitor(void)
{
	struct peal_monitored about = { .size = sizeof(about) };
	struct peal_monitor *monitor;
	int err = peal_monitor_open(&monitor, folder.path, LONG);

	if (err)
		return err;
	err = peal_monitor_read(monitor, &about, NULL, 0);
	peal_monitor_close(monitor);
	return err < 0 ? err : 0;
}

/* A server whose visitor is the test's process: a byte asks for one, and one comes back when it has
 * gone. */
static int wants_visit = -1, visited = -1;

static int try_server(void)
{
	struct pollfd gone = { .fd = visited, .events = POLLIN };
	struct peal_server *own;
	int err = host_open(&own, other.path, 1);
	char result = 0;

	if (err)
		return err;
	if (write(wants_visit, "", 1) != 1)
		return -EIO;
	while (poll(&gone, 1, 0) == 0) {
		int got = peal_server_step(own, 5 * MS);

		if (got < 0 && got != -ETIMEDOUT)
			err = got;
	}
	if (read(visited, &result, 1) != 1)
		return -EIO;
	peal_server_close(own);
	return err ? err : -result;
}

/*
 * The limits. squeeze leaves so much; relax takes the limit away.
 */

struct measure {
	const char *name;
	bool (*squeeze)(unsigned left);
	void (*relax)(void);
	unsigned most;
	int err; /* of what has no more */
	bool in_steps;
};

/* A figure of /proc/self/status, in bytes. */
static rlim_t figure(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[256];

	while (file && !kib && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			kib = strtoull(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return kib * 1024;
}

static bool squeeze_space(unsigned left)
{
	rlim_t now = figure("VmSize:");

	return now && lower(RLIMIT_AS, now + left * stage_page());
}

static void relax_space(void)
{
	setrlimit(RLIMIT_AS, &was);
}

static bool squeeze_data(unsigned left)
{
	rlim_t now = figure("VmData:");

	return now && lower(RLIMIT_DATA, now + left * stage_page());
}

static void relax_data(void)
{
	setrlimit(RLIMIT_DATA, &was);
}

static bool squeeze_descriptors(unsigned left)
{
	/* The limit is one of numbers: that of the first that is not to be had. */
	int taken[32], limit;

	for (unsigned i = 0; i < left; i++)
		taken[i] = dup(STDIN_FILENO);
	limit = dup(STDIN_FILENO);
	close(limit);
	for (unsigned i = 0; i < left; i++)
		close(taken[i]);
	return lower(RLIMIT_NOFILE, (rlim_t)limit);
}

static void relax_descriptors(void)
{
	setrlimit(RLIMIT_NOFILE, &was);
}

/* Mappings: a ballast of pages that differ from their neighbours takes nearly all that a process
 * may have, and a plug the rest, but for what is left. */
static uint8_t *ballast, *plug;
static size_t ballast_size, plug_size, taken;
static void *extra[4];
static int extra_count;

/* Pages that are alone, from here on, until there can be no more; how many. */
static size_t alternate(uint8_t *at, size_t most)
{
	size_t n;

	for (n = 0; n < most; n++)
		if (mprotect(at + (2 * n + 1) * stage_page(), stage_page(), PROT_READ))
			break;
	return n;
}

static uint8_t *set_aside(size_t size)
{
	void *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static size_t most_mappings(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long most = 0;

	if (file && fscanf(file, "%lu", &most) != 1)
		most = 0;
	if (file)
		fclose(file);
	return most;
}

static bool take_mappings(size_t most)
{
	ballast_size = (most + 4) * stage_page();
	plug_size = 400 * stage_page();
	ballast = set_aside(ballast_size);
	plug = set_aside(plug_size);
	if (!ballast || !plug)
		return false;
	alternate(ballast, most / 2);
	/* 100 or so are left for the plug. */
	for (size_t n = 0; n < 50; n++)
		mprotect(ballast + (2 * n + 1) * stage_page(), stage_page(), PROT_NONE);
	return true;
}

static bool squeeze_mappings(unsigned left)
{
	size_t n = alternate(plug, 199);

	/* A mapping that is split must stay below the limit, a new one may reach it. */
	while (extra_count < 4) {
		extra[extra_count] = mmap(NULL, stage_page(), PROT_READ, MAP_SHARED | MAP_ANONYMOUS,
					  -1, 0);
		if (extra[extra_count] == MAP_FAILED)
			break;
		extra_count++;
	}
	/* With what was lost there would be fewer of them. The C library keeps some stacks. */
	taken = taken ? taken : n;
	if (n + 8 < taken)
		return false;
	for (size_t i = 0; i < left && i < n; i++)
		mprotect(plug + (2 * (n - 1 - i) + 1) * stage_page(), stage_page(), PROT_NONE);
	return n >= left && n < 199;
}

static void relax_mappings(void)
{
	mprotect(plug, plug_size, PROT_NONE);
	while (extra_count)
		munmap(extra[--extra_count], stage_page());
}

static const struct measure measures[] = {
	{ "descriptors", squeeze_descriptors, relax_descriptors, 24, EMFILE, false },
	{ "address space", squeeze_space, relax_space, 60000, ENOMEM, true },
	{ "data", squeeze_data, relax_data, 60000, ENOMEM, true },
	{ "mappings", squeeze_mappings, relax_mappings, 24, ENOMEM, false },
};

/*
 * In a child: tries with nothing left, then with more and more, until it goes well three times.
 */

struct trial {
	const struct measure *measure;
	const char *name;
	int (*run)(void);
};

static char sentence[512]; /* of what was tried last */

static const char *expect_explained(const struct trial *trial, unsigned left, int err)
{
	if (err != -trial->measure->err)
		return wrong("%s with %u of %s left gives %d: %s", trial->name, left,
			     trial->measure->name, err, sentence);
	return strlen(sentence) > 20 ? NULL : wrong("there is no sentence");
}

static const char *squeeze_and_try(const struct trial *trial, unsigned left, int *err)
{
	if (!trial->measure->squeeze(left))
		return wrong("%u of %s cannot be left (any more)", left, trial->measure->name);
	*err = trial->run();
	snprintf(sentence, sizeof(sentence), "%s", peal_error());
	trial->measure->relax();
	/* What could not be closed aside for want of a thread is when anything else is. */
	if (*err && try_pair())
		return wrong("a pair without a limit");
	/* Where a visitor was refused it is he who was told why. */
	return *err && *err != -EBUSY ? expect_explained(trial, left, *err) : NULL;
}

static const char *try_all(void *data)
{
	const struct trial *trial = data;
	const struct measure *measure = trial->measure;
	struct peal_link *old[2];
	const char *failed = NULL;
	int err = 0, descriptors, mapped, good = 0, bad = 0;

	if (measure->squeeze == squeeze_mappings && !take_mappings(most_mappings()))
		return wrong("no ballast");
	if (peal_pair(old, NULL) || trial->run())
		return wrong("without a limit");
	descriptors = descriptors_settled();
	/* With a ballast there are too many to look at them, and the next squeeze tells. */
	mapped = ballast ? -1 : mappings_count();
	for (unsigned left = 0; good < 3 && !failed; left += measure->in_steps ? 1 + left / 8 : 1) {
		if (left > measure->most)
			return wrong("%s takes more than %u of %s", trial->name, measure->most,
				     measure->name);
		failed = squeeze_and_try(trial, left, &err);
		good = err ? 0 : good + 1;
		bad += err != 0;
		if (!failed && use_pair(old))
			failed = wrong("who was there before does not go on");
		if (!failed && !settles(descriptors, mapped))
			failed = wrong("%d descriptors, of %d, and %d mappings, of %d, are left",
				       descriptors_count(), descriptors, mappings_count(), mapped);
	}
	/* Of data a link needs no more than there is in the heap. */
	if (!failed && !bad && (measure->squeeze != squeeze_data || trial->run == try_pair))
		failed = wrong("%s went well with no %s left", trial->name, measure->name);
	return failed;
}

static void child_tries(const char *name, int (*run)(void), const struct measure *measure)
{
	struct trial trial = { .measure = measure, .name = name, .run = run };
	struct child child;

	child_start(&child, try_all, &trial);
	host_serve(&child);
}

static const struct measure *measure_of(int i)
{
	if (measures[i].err == ENOMEM && runner_burdened()) {
		skip("a sanitizer, or an emulator, has memory and mappings of its own");
		return NULL;
	}
	if (measures[i].squeeze == squeeze_mappings &&
	    (!most_mappings() || most_mappings() > 100000)) {
		skip("a process may have %zu mappings", most_mappings());
		return NULL;
	}
	if (measures[i].err == EMFILE && skip_emulated("limits of its programs"))
		return NULL;
	return &measures[i];
}

START_TEST(what_cannot_be_had_is_an_error_and_what_is_there_goes_on)
	{
		static const struct {
			const char *name;
			int (*run)(void);
		} tries[] = { { "a pair", try_pair },
			      { "a link", try_link },
			      { "a client", try_client },
			      { "a monitor", try_monitor } };
		const struct measure *measure = measure_of(_i);

		/* Ballast takes time. */
		unsigned count = sizeof(tries) / sizeof(tries[0]);

		if (measure && measure->squeeze == squeeze_mappings && !runner_long())
			count = 2;
		for (unsigned i = 0; measure && i < count; i++)
			child_tries(tries[i].name, tries[i].run, measure);
	}
END_TEST

/* In the test's process: somebody who is let in, or hears why not. */
static char visit(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_link *link;
	int err;

	options.flags = PEAL_CALLS;
	err = peal_connect(&link, other.path, &options, LONG);
	if (err == -EBUSY)
		ck_assert_msg(strstr(peal_error(), "descriptors") ||
				      strstr(peal_error(), "memory") ||
				      strstr(peal_error(), "max_map_count"),
			      "%s", peal_error());
	if (err) {
		ck_assert_msg(err == -EBUSY, "%d %s", err, peal_error());
		return EBUSY;
	}
	err = exchange(link);
	ck_assert_msg(!err, "%d %s", err, peal_error());
	peal_close(link);
	return 0;
}

START_TEST(a_newcomer_hears_what_the_server_has_no_more_of)
	{
		const struct measure *measure = measure_of(_i);
		struct trial trial = { measure, "a server", try_server };
		int asks[2], answers[2];
		struct child child;
		char byte;

		if (!measure)
			return;
		ck_assert_int_eq(pipe2(asks, O_CLOEXEC), 0);
		ck_assert_int_eq(pipe2(answers, O_CLOEXEC), 0);
		wants_visit = asks[1];
		visited = answers[0];
		child_start(&child, try_all, &trial);
		close(asks[1]);
		close(answers[0]);
		while (read(asks[0], &byte, 1) == 1) {
			byte = visit();
			ck_assert_int_eq(write(answers[1], &byte, 1), 1);
		}
		child_end(&child);
		close(asks[0]);
		close(answers[1]);
	}
END_TEST

static Suite *suite(void)
{
	const int count = sizeof(measures) / sizeof(measures[0]);
	Suite *s = suite_create("rlimits");
	TCase *all = tcase_create("rlimits");

	tcase_add_checked_fixture(all, host_set_up, host_tear_down);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, what_cannot_be_had_is_an_error_and_what_is_there_goes_on, 0,
			    count);
	tcase_add_loop_test(all, a_newcomer_hears_what_the_server_has_no_more_of, 0, count);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
