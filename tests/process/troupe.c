/*
 * SPDX-License-Identifier: MIT
 *
 * Engines and their ledger, as troupe.h says.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/troupe.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct ledger *ledger;

void open_ledger(void)
{
	unlink(scene_path("ledger"));
	ledger = ledger_open(scene_path("ledger"));
	ck_assert_ptr_nonnull(ledger);
}

void expect_right(void)
{
	ck_assert_msg(!ledger->wrong, "%" PRIu64 " things are wrong, the first: %s", ledger->wrong,
		      ledger->what);
}

void start_engine(struct peer *engine)
{
	engine_start(engine);
	peer_tell(engine, "ledger %s", scene_path("ledger"));
}

void start_server(struct peer *server, unsigned workers)
{
	start_engine(server);
	peer_tell(server, "serve %s %u", scene_path("server"), workers);
	ck_assert_msg(peer_hear(server, "serve") == 0, "%s", server->text);
}

void start_streams(struct peer *engine, uint32_t first, uint32_t count)
{
	start_engine(engine);
	peer_tell(engine, "stream %s %u %u %u", scene_path("server"), first, count, TROUPE_WINDOW);
}

struct progress {
	uint32_t first, count;
	uint64_t ended, in_flight;
};

static bool have_ended(void *data)
{
	const struct progress *p = data;

	return ledger->wrong || ledger_ended(ledger, p->first, p->count) >= p->ended;
}

static bool are_in_flight(void *data)
{
	const struct progress *p = data;

	return ledger->wrong || ledger_in_flight(ledger, p->first, p->count) >= p->in_flight;
}

void await_more(uint32_t first, uint32_t count, uint64_t more)
{
	struct progress progress = { .first = first,
				     .count = count,
				     .ended = ledger_ended(ledger, first, count) + more };

	ck_assert_msg(scene_until(have_ended, &progress),
		      "%" PRIu64 " calls have ended, and %" PRIu64 " should have",
		      ledger_ended(ledger, first, count), progress.ended);
	expect_right();
}

void await_full(uint32_t first, uint32_t count)
{
	struct progress progress = { .first = first,
				     .count = count,
				     .in_flight = (uint64_t)count * TROUPE_WINDOW };

	ck_assert_msg(scene_until(are_in_flight, &progress), "%" PRIu64 " calls are in flight",
		      ledger_in_flight(ledger, first, count));
	expect_right();
}

void end_streams(struct peer *engines, unsigned count)
{
	ledger_stop(ledger, true);
	for (unsigned i = 0; i < count; i++) {
		ck_assert_msg(peer_hear(&engines[i], "stream") == 0, "%s", engines[i].text);
		peer_end(&engines[i]);
	}
}

void stop_server(struct peer *server)
{
	peer_tell(server, "stop");
	ck_assert_int_eq(peer_hear(server, "stop"), 0);
	peer_end(server);
}

static bool has_no_clients(void *data)
{
	struct peer *server = data;
	unsigned long clients = 1, told = 0, closed = 0, odd = 0;

	ck_assert_int_eq(peer_ask(server, "count"), 0);
	ck_assert_int_eq(sscanf(server->text, "clients %lu told %lu closed %lu odd %lu", &clients,
				&told, &closed, &odd),
			 4);
	ck_assert_uint_eq(odd, 0);
	return !clients && told == closed;
}

void expect_no_clients(struct peer *server)
{
	ck_assert_msg(scene_until(has_no_clients, server), "the server has %s", server->text);
}

static bool sleeps(const char *pid, const char *task)
{
	char path[320], line[512] = "", *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/stat", pid, task);
	file = fopen(path, "re");
	if (!file)
		return true; /* it has just ended */
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	state = strrchr(line, ')');
	return !state || state[2] == 'S';
}

/* All its threads, each time of some: one that has something to do may wait for a moment. */
static bool all_sleep(void *data)
{
	const struct peer *peer = data;
	char path[64], pid[16];
	bool all = true;

	snprintf(pid, sizeof(pid), "%ld", (long)peer->pid);
	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	for (int i = 0; i < 5 && all; i++) {
		DIR *tasks = opendir(path);
		struct dirent *task;

		ck_assert_ptr_nonnull(tasks);
		while ((task = readdir(tasks)))
			if (task->d_name[0] != '.')
				all &= sleeps(pid, task->d_name);
		closedir(tasks);
		sched_yield();
	}
	return all;
}

/* More than there will be: counters of clients and what else stays. */
#define PLENTY 250

struct holdings holdings_asleep(struct peer *server)
{
	struct peer crowd;

	start_engine(&crowd);
	peer_tell(&crowd, "crowd %s %d", scene_path("server"), PLENTY);
	ck_assert_msg(peer_hear(&crowd, "crowd") == 0, "%s", crowd.text);
	ck_assert_int_eq(peer_ask(&crowd, "leave"), 0);
	peer_end(&crowd);
	expect_no_clients(server);
	ck_assert_msg(scene_until(all_sleep, server), "the server does not go to sleep");
	return holdings_whole(server->pid);
}
