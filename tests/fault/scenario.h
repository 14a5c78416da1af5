/*
 * SPDX-License-Identifier: MIT
 *
 * Scenarios: what the library does in one go, with its other side, so that each call that it makes
 * can fail once. A scenario's `attempt` is what the calls fail in, in a thread of its own; all else
 * is done by the driver, whose calls never fail.
 */
#ifndef TESTS_FAULT_SCENARIO_H
#define TESTS_FAULT_SCENARIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <peal.h>

#include "lib/connect.h"
#include "tests/unit/stage.h"

/* What stands on the stage of a scenario; each uses what it needs. */
struct act {
	const struct scenario *scenario;
	struct folder folder;
	struct peal_options options;
	struct peal_listener *listener;
	struct peal_server *server; /* the other side's, or the one that is tried */
	struct peal_client *client;
	struct peal_monitor *monitor;
	struct peal_set *set;
	struct peal_link *link; /* the end that is tried */
	struct peal_link *far;  /* its other end */
	struct peal_link *pair[2];
	pthread_t thread;           /* of the other side */
	bool stop;                  /* atomic: it is to end */
	bool over;                  /* atomic: the attempt has ended */
	bool spoilt;                /* the link is left with half a message */
	int stranger;               /* a socket; -1: none */
	struct opening opening;     /* the driver's client, a step at a time; */
	int told;                   /* what that came to; 1: nothing yet */
	void (*turn)(struct act *); /* what the attempt wants the driver to do */
	char wrong[400];            /* what is not as it must be, whatever failed */
};

struct scenario {
	const char *name;
	void (*open)(struct act *act);
	void (*close)(struct act *act);
	void (*before)(struct act *act);    /* each attempt */
	int (*attempt)(struct act *act);    /* 0, or a negative errno, with its sentence */
	void (*meanwhile)(struct act *act); /* beside it */
	void (*after)(struct act *act);
	bool others; /* what fails is what its other threads and children do */
	bool every;  /* with every errno by default, too */
	bool fresh;  /* each time in a process that has not used the library */
};

extern const struct scenario client_scenarios[], server_scenarios[], link_scenarios[];
extern const unsigned client_scenario_count, server_scenario_count, link_scenario_count;

/* In an attempt: has the driver do something, and waits. */
void act_turn(struct act *act, void (*turn)(struct act *act));

/* In an attempt that has failed: does what must work all the same, with nothing that fails. The
 * error, with its sentence. */
int act_recover(struct act *act, int err, void (*recover)(struct act *act));

/* Says what is wrong, the first time. For anyone. */
void act_wrong(struct act *act, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A thread of the driver's, which runs until act->stop. */
void act_start(struct act *act, void *(*run)(void *act));
void act_end(struct act *act);

/* A message there and back: 0 or an error. */
int act_talk(struct peal_link *link, const void *data, size_t length, int64_t timeout);

#endif
