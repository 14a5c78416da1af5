/*
 * SPDX-License-Identifier: MIT
 *
 * Services: a server of many clients, and such clients, through a transport. Each request is
 * answered with the same bytes. A transport that can be measured so has a table; all that is
 * peculiar to it is behind that, in a file of its own.
 */
#ifndef PEAL_PERF_SERVICE_H
#define PEAL_PERF_SERVICE_H

#include <stdint.h>
#include <sys/types.h>

#include "transport.h"

/* That a client waits for its server at most. */
#define SERVICE_PATIENCE_NS ((int64_t)10000000000)

/* What a server says of itself. */
struct service_count {
	uint64_t clients; /* now */
	uint64_t wakeups; /* returns from sleep, ever */
};

/* A reply to a client has come, of so many bytes; or, a negative errno with a complaint, the client
 * is no more. */
typedef void service_answered(void *data, unsigned client, const void *reply, ssize_t length);

/* All return 0, or a negative errno with a complaint, unless it says otherwise. */
struct service {
	/* The server: listens from now on; serves until it is stopped, by any thread; tells, any
	 * thread, what it has done. */
	int (*open)(const struct setup *setup, void **server);
	int (*run)(void *server);
	void (*stop)(void *server);
	void (*count)(void *server, struct service_count *count);
	void (*close)(void *server);

	/* A client that comes, sends one request of setup->size bytes, has its reply, and goes.
	 * *replied: when it had that, in ticks. Several threads may at a time. */
	int (*visit)(const struct setup *setup, const void *request, void *reply,
		     uint64_t *replied);

	/* Many clients of one thread, none at first. join: one more connects; they are numbered
	 * from 0. ask: sends a request of setup->size bytes; -EAGAIN, and no complaint, if there
	 * is no room now. answers: waits for so many nanoseconds at most, and tells of what has
	 * come until then. */
	int (*gather)(const struct setup *setup, unsigned most, void **clients);
	int (*join)(void *clients);
	int (*ask)(void *clients, unsigned client, const void *request);
	int (*answers)(void *clients, int64_t ns, service_answered *answered, void *data);
	void (*leave)(void *clients);
};

extern const struct service service_peal;
extern const struct service service_uds;

#endif
