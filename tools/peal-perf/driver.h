/*
 * SPDX-License-Identifier: MIT
 *
 * The driver: starts the partner, opens transports together with it, and runs one slice at a
 * time. It knows nothing of rounds and results.
 */
#ifndef PEAL_PERF_DRIVER_H
#define PEAL_PERF_DRIVER_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "buffers.h"
#include "control.h"
#include "slice.h"

struct driver {
	int control;
	pid_t partner; /* 0: a thread */
	pthread_t thread;
	int partner_control; /* the thread's end of the pair */
	int cpus[2];
	unsigned slots; /* in use */
	struct {
		const struct transport *transport;
		void *end;
	} ends[CONTROL_SLOTS];
	struct buffers buffers;
	char folder[80]; /* "" or a private one, for sockets */
};

/* All return 0 or a negative errno with a complaint. After a failure only driver_stop is left to be
 * called. */

/* Starts the partner on the second CPU and keeps this thread on the first. */
int driver_start(struct driver *driver, const int cpus[2], bool threads);

/* A private folder for the sockets where transports meet; it is wanted only while they are opened,
 * and driver_stop removes it if need be. */
int driver_folder_make(struct driver *driver);
void driver_folder_remove(struct driver *driver);

/* Connects the two sides through a transport and returns the slot. setup->path is set here. */
int driver_open(struct driver *driver, const struct transport *transport, struct setup *setup);

/*
 * Runs a slice of a test in a slot, both sides. slice: size, payload, batch, ticks and histograms
 * are given by the caller, and step for TEST_RATE. What is counted by the partner is in slice too,
 * afterwards; usage is by side. -EBADMSG: messages were lost or changed.
 */
int driver_run(struct driver *driver, unsigned slot, enum test_id test, bool in_place,
	       struct slice *slice, struct usage usage[SIDES]);

/* Closes all slots. */
int driver_close(struct driver *driver);

/* Ends the partner, at once if there was an error, and frees everything. */
void driver_stop(struct driver *driver, bool failed);

#endif
