/*
 * SPDX-License-Identifier: MIT
 *
 * The runtime: what it tells of what was found and picked, and what the PEAL_* environment does to
 * it. The environment is read once a process, so these tests start this program again, which then
 * only reports what it sees.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/runtime.h>
#include <peal/version.h>

#include "tests/unit/stage.h"

static const char *const jobs[] = { "ring", "waiter", "memory", "barrier" };
#define JOBS (sizeof(jobs) / sizeof(jobs[0]))

/* The picked choice of a job; *picked is how many there are. */
static struct peal_choice picked_for(const char *job, unsigned *picked)
{
	struct peal_choice choice, found = { .name = "none" };

	*picked = 0;
	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++) {
		if (!strcmp(choice.job, job) && choice.picked) {
			++*picked;
			found = choice;
		}
	}
	return found;
}

START_TEST(all_choices_are_told)
	{
		struct peal_choice choice;
		unsigned count = 0, job = 0;

		for (; !peal_runtime_choice(count, &choice); count++) {
			/* The jobs come one after the other. */
			while (job < JOBS && strcmp(choice.job, jobs[job]))
				job++;
			ck_assert_msg(job < JOBS, "%s", choice.job);
			ck_assert_str_ne(choice.name, "");
			ck_assert_str_ne(choice.why, "");
			ck_assert(choice.usable || !choice.picked);
		}
		ck_assert_uint_ge(count, 5);
		expect_error(peal_runtime_choice(count, &choice), -ENOENT, "no more", NULL);
		expect_error(peal_runtime_choice(count + 1, &choice), -ENOENT, NULL);
		expect_error(peal_runtime_choice(UINT_MAX, &choice), -ENOENT, NULL);
	}
END_TEST

START_TEST(one_is_picked_for_each_job)
	{
		unsigned picked;

		for (size_t i = 0; i < JOBS; i++) {
			picked_for(jobs[i], &picked);
			ck_assert_msg(picked == 1, "%u are picked for %s", picked, jobs[i]);
		}
	}
END_TEST

START_TEST(both_barriers_are_told_and_whether_they_can_be_had)
	{
		const long commands = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
				      MEMBARRIER_CMD_GLOBAL_EXPEDITED;
		long had = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
		struct peal_choice choice;
		unsigned told = 0;

		for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++) {
			if (strcmp(choice.job, "barrier"))
				continue;
			if (told++)
				ck_assert_int_eq(choice.usable,
						 had >= 0 && (had & commands) == commands);
			ck_assert_str_eq(choice.name, told == 1 ? "fence" : "asymmetric");
			ck_assert_int_eq(choice.picked, told == 1);
		}
		ck_assert_uint_eq(told, 2);
	}
END_TEST

START_TEST(the_first_that_is_usable_is_picked)
	{
		struct peal_choice choice;
		const char *job = "";

		for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++) {
			if (!strcmp(choice.job, job) || !choice.usable)
				continue;
			job = choice.job;
			ck_assert_msg(choice.picked, "%s %s: %s", job, choice.name, choice.why);
		}
	}
END_TEST

START_TEST(all_facts_are_told)
	{
		static const char *const groups[] = { "build",       "ring",       "cpu",
						      "kernel",      "memory",     "placement",
						      "limits",      "system",     "power",
						      "mitigations", "confinement" };
		const unsigned all = sizeof(groups) / sizeof(groups[0]);
		unsigned count = 0, seen = 0;
		struct peal_fact fact, again;

		for (; !peal_runtime_fact(count, &fact); count++) {
			unsigned group = 0;

			while (group < all && strcmp(fact.group, groups[group]))
				group++;
			ck_assert_msg(group < all, "%s", fact.group);
			seen |= 1u << group;
			ck_assert_str_ne(fact.name, "");
			ck_assert_msg(*fact.value, "%s has no value", fact.name);
			ck_assert_ptr_nonnull(fact.note);
			/* They were gathered once. */
			ck_assert_int_eq(peal_runtime_fact(count, &again), 0);
			ck_assert_ptr_eq(again.value, fact.value);
		}
		/* Not every family has something to tell of its CPU, the third of them. */
		ck_assert_uint_eq(seen | 1u << 2, (1u << all) - 1);
		expect_error(peal_runtime_fact(count, &fact), -ENOENT, "no more", NULL);
		expect_error(peal_runtime_fact(UINT_MAX, &fact), -ENOENT, NULL);
	}
END_TEST

START_TEST(the_counter_counts)
	{
		uint64_t before = peal_ticks();
		double rate = peal_ticks_per_ns();

		/* From the slowest counter of an embedded CPU to ones that nobody builds. */
		ck_assert_double_gt(rate, 0.0001);
		ck_assert_double_lt(rate, 100);
		for (int i = 0; i < 1000; i++) {
			uint64_t now;

			peal_relax();
			now = peal_ticks();
			ck_assert_uint_ge(now, before);
			before = now;
		}
		ck_assert_double_eq(peal_ticks_per_ns(), rate);
		ck_assert_uint_le(peal_runtime_spin_ns(), 1000000000);
		ck_assert_str_eq(peal_runtime_version(), PEAL_VERSION);
	}
END_TEST

/*
 * The environment.
 */

/* What a process reports that was started with an environment, and what it logged. */
struct seen {
	char report[4096];
	char log[4096];
};

/* A line of the report, behind its name; "" if there is none. */
static const char *reported(const struct seen *seen, const char *name)
{
	static char value[512];
	const char *line = seen->report;
	size_t length = strlen(name);

	while (line && (strncmp(line, name, length) || line[length] != ' ')) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	snprintf(value, sizeof(value), "%.*s", line ? (int)strcspn(line + length + 1, "\n") : 0,
		 line ? line + length + 1 : "");
	return value;
}

/* The other process: reports, and ends. */
static int report(void)
{
	struct peal_link *pair[2] = { NULL, NULL };
	struct peal_listener *listener;
	struct peal_fact fact;
	unsigned picked;
	int err;

	for (size_t i = 0; i < JOBS; i++) {
		struct peal_choice choice = picked_for(jobs[i], &picked);

		printf("%s %s\n%s-why %s\n%s-count %u\n", jobs[i], choice.name, jobs[i],
		       picked ? choice.why : "", jobs[i], picked);
	}
	printf("spin %llu\n", (unsigned long long)peal_runtime_spin_ns());
	for (unsigned i = 0; !peal_runtime_fact(i, &fact); i++)
		if (!strcmp(fact.group, "ring"))
			printf("%s-told %s\n", fact.name, fact.value);
	err = peal_listen(&listener, "/nowhere/peal-unit/socket", NULL);
	printf("listen %d %s\n", err, peal_error());
	err = peal_pair(pair, NULL);
	printf("pair %d %s\n", err, err ? peal_error() : "");
	if (!err) {
		char byte = 0;

		err = peal_send(peal_link_tx(pair[0]), "a", 1, 0, 0);
		if (!err)
			err = (int)peal_recv(peal_link_rx(pair[1]), &byte, 1, NULL, LONG);
		printf("exchange %d\nprefetch %u\ninline-copy %u\ninline-copy-in %u\n", err,
		       peal_link_rx(pair[1])->prefetch_bytes, peal_link_tx(pair[0])->inline_copy,
		       peal_link_rx(pair[1])->inline_copy);
		peal_close(pair[0]);
		peal_close(pair[1]);
	}
	return 0;
}

static void read_all(int fd, char *to, size_t size)
{
	ssize_t length = pread(fd, to, size - 1, 0);

	ck_assert_int_ge(length, 0);
	to[length] = 0;
	close(fd);
}

/* Starts this program again with some variables, ended by NULL; any others of Peal's are taken
 * away. */
static struct seen start_with(const char *const *variables)
{
	static char *const argv[] = { (char *)(uintptr_t) "runtime", (char *)(uintptr_t) "report",
				      NULL };
	static const char *const own[] = { "PEAL_RING_VARIANT", "PEAL_WAITER",   "PEAL_HUGEPAGES",
					   "PEAL_SPIN_NS",      "PEAL_PREFETCH", "PEAL_INLINE_COPY",
					   "PEAL_SAMPLE",       "PEAL_LOG" };
	int out = memfd_create("report", MFD_CLOEXEC), log = memfd_create("log", MFD_CLOEXEC);
	struct seen seen;
	int status;
	pid_t pid;

	ck_assert_int_ge(out, 0);
	ck_assert_int_ge(log, 0);
	pid = fork();
	if (!pid) {
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			unsetenv(own[i]);
		for (; *variables; variables++)
			putenv((char *)(uintptr_t)*variables);
		if (dup2(out, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0)
			runner_exec("/proc/self/exe", argv);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	read_all(out, seen.report, sizeof(seen.report));
	read_all(log, seen.log, sizeof(seen.log));
	ck_assert_msg(status == 0, "status %x: %s", status, seen.log);
	return seen;
}

static struct seen start_with_one(const char *variable)
{
	return start_with((const char *const[]){ variable, NULL });
}

static unsigned lines_of(const char *text)
{
	unsigned count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void expect_works(const struct seen *seen)
{
	ck_assert_str_eq(reported(seen, "pair"), "0 ");
	ck_assert_str_eq(reported(seen, "exchange"), "1");
}

/* One line, a warning with both pieces; and it works. */
static void expect_warned(const struct seen *seen, const char *said, const char *advice)
{
	ck_assert_msg(lines_of(seen->log) == 1, "%s", seen->log);
	ck_assert_msg(!strncmp(seen->log, "peal: ", 6), "%s", seen->log);
	ck_assert_msg(strstr(seen->log, said), "\"%s\" is not in: %s", said, seen->log);
	ck_assert_msg(strstr(seen->log, advice), "\"%s\" is not in: %s", advice, seen->log);
	expect_works(seen);
}

START_TEST(without_variables_nothing_is_logged)
	{
		struct seen seen = start_with_one(NULL);

		ck_assert_str_eq(seen.log, "");
		expect_works(&seen);
		for (size_t i = 0; i < JOBS; i++) {
			char name[32];

			snprintf(name, sizeof(name), "%s-count", jobs[i]);
			ck_assert_str_eq(reported(&seen, name), "1");
		}
	}
END_TEST

START_TEST(an_unknown_variable_is_told_the_nearest)
	{
		static const char *const unknown[][3] = {
			{ "PEAL_RING_VARINT=generic", "PEAL_RING_VARINT is", "PEAL_RING_VARIANT?" },
			{ "PEAL_RINGVARIANT=generic", "PEAL_RINGVARIANT is", "PEAL_RING_VARIANT?" },
			{ "PEAL_WAITERS=spin", "PEAL_WAITERS is", "PEAL_WAITER?" },
			{ "PEAL_HUGE_PAGES=require", "PEAL_HUGE_PAGES is", "PEAL_HUGEPAGES?" },
			{ "PEAL_SPIN=0", "PEAL_SPIN is", "PEAL_SPIN_NS?" },
			{ "PEAL_SPIN_NSS=0", "PEAL_SPIN_NSS is", "PEAL_SPIN_NS?" },
			{ "PEAL_LOGG=debug", "PEAL_LOGG is", "PEAL_LOG?" },
			{ "PEAL_=", "PEAL_ is", "did you mean PEAL_" },
			{ "PEAL_log=debug", "PEAL_log is", "PEAL_LOG?" },
		};

		struct seen seen = start_with_one(unknown[_i][0]);
		struct seen plain = start_with_one(NULL);

		expect_warned(&seen, unknown[_i][1], unknown[_i][2]);
		ck_assert_str_eq(seen.report, plain.report);
	}
END_TEST

START_TEST(variables_of_others_are_nobodys_business)
	{
		struct seen seen = start_with((const char *const[]){
			"PEALS=1", "PEAL=1", "XPEAL_LOG=debug", "peal_log=debug", NULL });

		ck_assert_str_eq(seen.log, "");
	}
END_TEST

START_TEST(an_unknown_value_is_told_the_nearest)
	{
		static const char *const unknown[][3] = {
			{ "PEAL_RING_VARIANT=generik", "PEAL_RING_VARIANT=generik", "generic?" },
			{ "PEAL_RING_VARIANT=Generic", "PEAL_RING_VARIANT=Generic", "generic?" },
			{ "PEAL_WAITER=fute", "PEAL_WAITER=fute", "futex?" },
			{ "PEAL_WAITER=spinn", "PEAL_WAITER=spinn", "spin?" },
			{ "PEAL_HUGEPAGES=requir", "PEAL_HUGEPAGES=requir", "require?" },
			{ "PEAL_HUGEPAGES=of", "PEAL_HUGEPAGES=of", "off?" },
			{ "PEAL_BULK_COPY=arround", "PEAL_BULK_COPY=arround", "around?" },
			{ "PEAL_EVICT=alway", "PEAL_EVICT=alway", "always?" },
			{ "PEAL_LOG=wran", "PEAL_LOG=wran", "warn?" },
			{ "PEAL_LOG=non", "PEAL_LOG=non", "none?" },
		};
		struct seen seen = start_with_one(unknown[_i][0]);
		struct seen plain = start_with_one(NULL);

		expect_warned(&seen, unknown[_i][1], unknown[_i][2]);
		ck_assert_str_eq(seen.report, plain.report);
	}
END_TEST

#define BAD 8 /* of PEAL_SPIN_NS */

START_TEST(a_bad_number_is_told_what_is_possible)
	{
		static const char *const bad_bytes[][2] = {
			{ "PEAL_PREFETCH=65537", "0 to 65536 (bytes)" },
			{ "PEAL_PREFETCH=1k", "0 to 65536 (bytes)" },
			{ "PEAL_INLINE_COPY=65", "0 to 64 (bytes)" },
			{ "PEAL_PAUSE_NS=1001", "0 to 1000 (nanoseconds)" },
			{ "PEAL_INLINE_COPY=-1", "0 to 64 (bytes)" },
			{ "PEAL_SAMPLE=each", "0 to 1000000000 (of so many sleeps" },
		};
		static const char *const bad[] = {
			"PEAL_SPIN_NS=abc",        "PEAL_SPIN_NS=-1",
			"PEAL_SPIN_NS=1000000001", "PEAL_SPIN_NS=12x",
			"PEAL_SPIN_NS= 5",         "PEAL_SPIN_NS=99999999999999999999999",
			"PEAL_SPIN_NS=+5",         "PEAL_SPIN_NS=0x10",
		};
		bool bytes = _i >= BAD;
		const char *variable = bytes ? bad_bytes[_i - BAD][0] : bad[_i];
		struct seen seen = start_with_one(variable);
		struct seen plain = start_with_one(NULL);

		expect_warned(&seen, variable, bytes ? bad_bytes[_i - BAD][1] : "0 to 1000000000");
		ck_assert_str_eq(seen.report, plain.report);
	}
END_TEST

START_TEST(a_good_number_is_obeyed)
	{
		static const char *const good[][3] = {
			{ "PEAL_SPIN_NS=0", "spin", "0" },
			{ "PEAL_SPIN_NS=12345", "spin", "12345" },
			{ "PEAL_SPIN_NS=1000000000", "spin", "1000000000" },
			{ "PEAL_PREFETCH=0", "prefetch", "0" },
			{ "PEAL_PREFETCH=65536", "prefetch", "65536" },
			{ "PEAL_BULK_COPY=cached", "bulk-copy-told", "cached" },
			{ "PEAL_EVICT=never", "evict-told", "never" },
			{ "PEAL_PAUSE_NS=0", "pause-told", "0" },
			{ "PEAL_PAUSE_NS=1000", "pause-told", "1000" },
			{ "PEAL_INLINE_COPY=0", "inline-copy", "0" },
			{ "PEAL_PREFETCH=128", "prefetch-told", "128" },
			{ "PEAL_INLINE_COPY=16", "inline-copy", "16" },
			{ "PEAL_INLINE_COPY=24", "inline-copy-in", "24" },
			{ "PEAL_INLINE_COPY=32", "inline-copy-told", "32" },
		};

		for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
			struct seen seen = start_with_one(good[i][0]);

			ck_assert_str_eq(seen.log, "");
			ck_assert_str_eq(reported(&seen, good[i][1]), good[i][2]);
			expect_works(&seen);
		}
	}
END_TEST

START_TEST(a_table_that_is_asked_for_is_picked)
	{
		struct peal_choice choice;
		unsigned asked = 0;

		for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++) {
			const char *variable = !strcmp(choice.job, "ring") ? "PEAL_RING_VARIANT" :
									     "PEAL_WAITER";
			char entry[128], why[32];
			struct seen seen;

			if (strcmp(choice.job, "ring") && strcmp(choice.job, "waiter"))
				continue;
			snprintf(entry, sizeof(entry), "%s=%s", variable, choice.name);
			snprintf(why, sizeof(why), "%s-why", choice.job);
			seen = start_with_one(entry);
			if (!choice.usable) {
				expect_warned(&seen, entry, "cannot be used here");
				ck_assert_str_ne(reported(&seen, choice.job), choice.name);
				continue;
			}
			ck_assert_str_eq(seen.log, "");
			ck_assert_str_eq(reported(&seen, choice.job), choice.name);
			ck_assert_ptr_nonnull(strstr(reported(&seen, why), variable));
			expect_works(&seen);
			asked++;
		}
		ck_assert_uint_ge(asked, 3);
	}
END_TEST

START_TEST(the_generic_variant_is_there_for_the_asking)
	{
		struct seen seen = start_with_one("PEAL_RING_VARIANT=generic");

		ck_assert_str_eq(seen.log, "");
		ck_assert_str_eq(reported(&seen, "ring"), "generic");
		ck_assert_str_eq(reported(&seen, "ring-count"), "1");
		expect_works(&seen);
	}
END_TEST

START_TEST(a_variant_that_cannot_be_used_is_refused_and_says_why)
	{
		struct seen plain = start_with_one(NULL);
		char variable[64], picked[64];
		struct peal_choice choice;
		unsigned refused = 0;

		snprintf(picked, sizeof(picked), "%s", reported(&plain, "ring"));
		for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++) {
			struct seen seen;

			if (strcmp(choice.job, "ring") || choice.usable)
				continue;
			snprintf(variable, sizeof(variable), "PEAL_RING_VARIANT=%s", choice.name);
			seen = start_with_one(variable);
			expect_warned(&seen, variable, choice.why);
			expect_warned(&seen, "cannot be used here", "");
			ck_assert_str_eq(reported(&seen, "ring"), picked);
			ck_assert_str_eq(seen.report, plain.report);
			refused++;
		}
		if (!refused)
			skip("every ring variant can be used here");
	}
END_TEST

START_TEST(huge_pages_that_are_required_are_missed)
	{
		struct seen seen = start_with_one("PEAL_HUGEPAGES=require");
		char code[16];

		/* The default ring is shorter than one. */
		snprintf(code, sizeof(code), "%d ", -EINVAL);
		ck_assert_ptr_eq(strstr(reported(&seen, "pair"), code), reported(&seen, "pair"));
		ck_assert_ptr_nonnull(strstr(reported(&seen, "pair"), "PEAL_HUGEPAGES=require"));
		ck_assert_ptr_eq(strstr(reported(&seen, "listen"), code),
				 reported(&seen, "listen"));
		ck_assert_ptr_nonnull(strstr(reported(&seen, "listen"), "PEAL_HUGEPAGES=require"));
		ck_assert_str_eq(reported(&seen, "memory-count"), "1");
	}
END_TEST

START_TEST(huge_pages_that_are_only_wished_for_are_not_missed)
	{
		static const char *const wishes[] = { "PEAL_HUGEPAGES=off", "PEAL_HUGEPAGES=auto",
						      "PEAL_HUGEPAGES=try" };

		for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
			struct seen seen = start_with_one(wishes[i]);

			ck_assert_str_eq(seen.log, "");
			expect_works(&seen);
		}
	}
END_TEST

START_TEST(the_log_has_what_was_asked_for)
	{
		static const struct {
			const char *level;
			bool warns, tells;
		} levels[] = {
			{ "PEAL_LOG=none", false, false }, { "PEAL_LOG=error", false, false },
			{ "PEAL_LOG=warn", true, false },  { "PEAL_LOG=info", true, false },
			{ "PEAL_LOG=debug", true, true },
		};

		for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
			struct seen seen = start_with((const char *const[]){
				levels[i].level, "PEAL_UNHEARD_OF=1", "PEAL_WAITER=bell",
				"PEAL_SPIN_NS=much", NULL });

			ck_assert_int_eq(strstr(seen.log, "PEAL_UNHEARD_OF") != NULL,
					 levels[i].warns);
			ck_assert_int_eq(strstr(seen.log, "PEAL_WAITER=bell") != NULL,
					 levels[i].warns);
			ck_assert_int_eq(strstr(seen.log, "PEAL_SPIN_NS=much") != NULL,
					 levels[i].warns);
			ck_assert_int_eq(strstr(seen.log, "ticks") != NULL, levels[i].tells);
			if (!levels[i].warns)
				ck_assert_str_eq(seen.log, "");
			expect_works(&seen);
		}
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("runtime");
	TCase *told = tcase_create("told"), *environment = tcase_create("environment");

	tcase_add_test(told, all_choices_are_told);
	tcase_add_test(told, one_is_picked_for_each_job);
	tcase_add_test(told, both_barriers_are_told_and_whether_they_can_be_had);
	tcase_add_test(told, the_first_that_is_usable_is_picked);
	tcase_add_test(told, all_facts_are_told);
	tcase_add_test(told, the_counter_counts);
	suite_add_tcase(s, told);

	tcase_set_timeout(environment, 30);
	tcase_add_test(environment, without_variables_nothing_is_logged);
	tcase_add_loop_test(environment, an_unknown_variable_is_told_the_nearest, 0, 9);
	tcase_add_test(environment, variables_of_others_are_nobodys_business);
	tcase_add_loop_test(environment, an_unknown_value_is_told_the_nearest, 0, 9);
	tcase_add_loop_test(environment, a_bad_number_is_told_what_is_possible, 0, BAD + 6);
	tcase_add_test(environment, a_good_number_is_obeyed);
	tcase_add_test(environment, a_table_that_is_asked_for_is_picked);
	tcase_add_test(environment, the_generic_variant_is_there_for_the_asking);
	tcase_add_test(environment, a_variant_that_cannot_be_used_is_refused_and_says_why);
	tcase_add_test(environment, huge_pages_that_are_required_are_missed);
	tcase_add_test(environment, huge_pages_that_are_only_wished_for_are_not_missed);
	tcase_add_test(environment, the_log_has_what_was_asked_for);
	suite_add_tcase(s, environment);
	return s;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "report"))
		return report();
	/* What these tests say of this process is said without overrides. */
	unsetenv("PEAL_RING_VARIANT");
	unsetenv("PEAL_WAITER");
	unsetenv("PEAL_HUGEPAGES");
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
