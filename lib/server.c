/*
 * SPDX-License-Identifier: MIT
 *
 * Servers: options, opening and closing, the threads of the workers, who gets which client, and
 * the counts of it all. What a worker does with its links is in worker.c, replies are in reply.c.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <peal/placement.h>

#include "lib/error.h"
#include "lib/listen.h"
#include "lib/options.h"
#include "lib/ring.h"
#include "lib/worker.h"

/* What programs pass is binary interface. */
#define OPTION(field, offset)                                                   \
	_Static_assert(offsetof(struct peal_server_options, field) == (offset), \
		       "binary interface, version 1")
OPTION(size, 0);
OPTION(abi, 4);
OPTION(flags, 8);
OPTION(workers, 12);
OPTION(link, 16);
OPTION(reply, 24);
OPTION(turn, 32);
OPTION(slow, 36);
OPTION(slow_ns, 40);
OPTION(queue, 48);
OPTION(idle_ns, 56);
OPTION(max_clients, 64);
OPTION(max_per_user, 68);
OPTION(max_user_rate, 72);
OPTION(ready, 76);
OPTION(handlers, 80);
OPTION(data, 112);
OPTION(spare, 120);
_Static_assert(sizeof(struct peal_server_options) == 248, "binary interface, version 1");
_Static_assert(sizeof(struct peal_token) == 16, "binary interface, version 1");
_Static_assert(sizeof(struct peal_request) == 64, "binary interface, version 1");
_Static_assert(offsetof(struct peal_request, token) == 40, "binary interface, version 1");
_Static_assert(offsetof(struct peal_server_counters, slow_ns) == 168,
	       "binary interface, version 1");
_Static_assert(sizeof(struct peal_server_counters) == 256, "binary interface, version 1");
_Static_assert(PEAL_SERVER_IN_PLACE == 1, "binary interface, version 1");
_Static_assert(PEAL_SERVER_PIN == 2, "binary interface, version 1");
_Static_assert(PEAL_SERVER_RAISE_NOFILE == 4, "binary interface, version 1");
_Static_assert(PEAL_SERVER_NOTIFY == 8, "binary interface, version 1");
_Static_assert(PEAL_SLOW_DISCONNECT == 2, "binary interface, version 1");
_Static_assert(PEAL_END_CLOSED == 1 && PEAL_END_FAILED == 8, "binary interface, version 1");
_Static_assert(PEAL_REPLY_MORE == 1, "binary interface, version 1");

#define FLAGS                                                                           \
	((uint32_t)(PEAL_SERVER_IN_PLACE | PEAL_SERVER_PIN | PEAL_SERVER_RAISE_NOFILE | \
		    PEAL_SERVER_NOTIFY))

#define WORKERS_MAX 256u
#define READY_MAX 1024u

#define DEFAULT_TURN 32u
#define DEFAULT_SLOW_NS UINT64_C(10000000000)
#define DEFAULT_QUEUE ((uint64_t)1 << 20)
#define DEFAULT_READY 16u

/* Clients that are taken in before those who are here get a turn again. */
#define ACCEPTS 4

static void orphan(struct handle *handle)
{
	struct peal_server *server = (struct peal_server *)(void *)((char *)handle -
								    offsetof(struct peal_server,
									     handle));

	for (uint32_t i = 0; i < server->count; i++) {
		struct worker *worker = &server->workers[i];

		platform_close(worker->bell);
		platform_close(worker->timer);
		worker->bell = worker->timer = -1;
	}
	server->stale = true;
	server->owner = 0; /* threads that are no more */
	for (uint32_t i = 0; i < server->count; i++)
		server->workers[i].owner = 0;
}

int server_stale(void)
{
	return error_literal(-ESTALE,
			     "this server is from before a fork: only the parent can use it");
}

/* Of the first header: it never changes. */
#define SIZE_VERSION_1 248u

static int check_head(const struct peal_server_options *given)
{
	const uint8_t *bytes = (const uint8_t *)given;

	if (given->size < SIZE_VERSION_1 || given->size > 4096)
		return error_set(
			-EINVAL,
			"options->size is %u, and sizeof(struct peal_server_options) %zu: start with peal_server_options_init",
			given->size, sizeof(*given));
	if (given->abi == 0 || given->abi > PEAL_ABI)
		return error_set(
			given->abi ? -EOPNOTSUPP : -EINVAL,
			"options->abi is %u, and this library knows 1 to %u: start with peal_server_options_init, or use a newer library",
			given->abi, PEAL_ABI);
	for (uint32_t i = sizeof(*given); i < given->size; i++)
		if (bytes[i])
			return error_set(
				-EOPNOTSUPP,
				"the option at offset %u is newer than this library, which knows %zu bytes: use a newer one, or set it to 0",
				i, sizeof(*given));
	for (unsigned i = 0; i < sizeof(given->spare) / sizeof(given->spare[0]); i++)
		if (given->spare[i])
			return error_set(
				-EOPNOTSUPP,
				"options->spare[%u] is %llu and not 0: use a library that has that option, or peal_server_options_init",
				i, (unsigned long long)given->spare[i]);
	if (given->flags & ~FLAGS)
		return error_set(
			-EOPNOTSUPP,
			"options->flags has the bits 0x%x, and this library knows only 0x%x: clear them or use a newer one",
			given->flags & ~FLAGS, FLAGS);
	return 0;
}

static int check_values(const struct peal_server_options *options, uint64_t ring)
{
	if (!options->handlers.message)
		return error_literal(
			-EINVAL,
			"options->handlers.message is NULL: a server needs something to do with messages");
	if (options->workers > WORKERS_MAX)
		return error_set(-ERANGE, "options->workers is %u: pass 1 to %u", options->workers,
				 WORKERS_MAX);
	if (options->reply > segment_longest_record(ring))
		return error_set(
			-ERANGE,
			"options->reply is %llu: the ring has room for %llu; promise less, or pass a larger ring",
			(unsigned long long)options->reply,
			(unsigned long long)segment_longest_record(ring));
	if (options->slow > PEAL_SLOW_DISCONNECT)
		return error_set(-EINVAL,
				 "options->slow is %u: pass 0 queue, 1 drop or 2 disconnect",
				 options->slow);
	if (options->ready > READY_MAX && options->ready != UINT32_MAX)
		return error_set(-ERANGE,
				 "options->ready is %u: pass at most %u, or UINT32_MAX for none",
				 options->ready, READY_MAX);
	return 0;
}

/* Checks what is given and fills the defaults in. */
static int take_options(struct peal_server *server, const struct peal_server_options *given,
			struct peal_options *link)
{
	struct peal_server_options *options = &server->options;
	struct peal_options whole;
	int err = check_head(given);

	if (err)
		return err;
	*options = *given;
	err = options_take(&whole, given->link);
	if (!err)
		err = check_values(options, whole.ring);
	if (err)
		return err;
	peal_options_init(link);
	if (given->link)
		memcpy(link, given->link, sizeof(*link));
	link->flags |= PEAL_CALLS | PEAL_ONE_THREAD;
	options->link = NULL; /* not kept */
	server->spins = whole.wait == PEAL_WAIT_SPIN;
	server->promise = options->reply ? options->reply : whole.ring / 8;
	if (!options->workers)
		options->workers = 1;
	if (!options->turn)
		options->turn = DEFAULT_TURN;
	if (!options->slow_ns)
		options->slow_ns = DEFAULT_SLOW_NS;
	if (!options->queue)
		options->queue = DEFAULT_QUEUE;
	if (!options->ready)
		options->ready = DEFAULT_READY;
	server->preparing = options->ready != UINT32_MAX;
	server->limited = options->max_clients || options->max_per_user || options->max_user_rate;
	return 0;
}

static void destroy(struct peal_server *server)
{
	for (uint32_t i = 0; i < server->count; i++)
		worker_close(&server->workers[i]);
	peal_listener_close(server->listener);
	registry_lock();
	registry_remove(&server->handle);
	registry_unlock();
	free(server->workers);
	free(server);
}

int peal_server_open(struct peal_server **made, const char *address,
		     const struct peal_server_options *given)
{
	struct peal_server *server = calloc(1, sizeof(*server));
	struct peal_options link;
	size_t size;
	int err;

	*made = NULL;
	if (!server)
		return error_literal(-ENOMEM, "no memory for a server: free some");
	err = take_options(server, given, &link);
	if (err) {
		free(server);
		return err;
	}
	server->handle.orphan = orphan;
	registry_lock();
	registry_add(&server->handle);
	registry_unlock();
	if (server->options.flags & PEAL_SERVER_RAISE_NOFILE)
		platform_raise_descriptors();
	err = peal_listen(&server->listener, address, &link);
	if (err)
		goto fail;
	if (server->limited)
		listen_limit(server->listener, &(struct listen_limits){
						       .clients = server->options.max_clients,
						       .per_user = server->options.max_per_user,
						       .user_rate = server->options.max_user_rate,
					       });
	size = server->options.workers * sizeof(*server->workers);
	server->workers = aligned_alloc(PEAL_LINE, size);
	if (!server->workers) {
		err = error_set(-ENOMEM, "no memory for %u workers: have fewer",
				server->options.workers);
		goto fail;
	}
	memset(server->workers, 0, size);
	while (!err && server->count < server->options.workers) {
		err = worker_open(&server->workers[server->count], server, server->count);
		server->count++;
	}
	if (err)
		goto fail;
	*made = server;
	return 0;
fail:
	destroy(server);
	return err;
}

/* Who has fewest links. */
static struct worker *idlest(struct peal_server *server)
{
	struct worker *best = server->workers;
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < server->count; i++) {
		/* Pairs with the subtraction in worker.c, for its value only. */
		uint32_t load = __atomic_load_n(&server->workers[i].load, __ATOMIC_RELAXED);

		if (load < least) {
			least = load;
			best = &server->workers[i];
		}
	}
	return best;
}

/* Gives a new link to a worker. */
static void place(struct peal_server *server, struct peal_link *link)
{
	struct worker *worker = idlest(server);
	struct arrival *arrival;

	/* Pairs with the load above. */
	__atomic_fetch_add(&worker->load, 1, __ATOMIC_RELAXED);
	if (worker == server->workers) {
		worker_admit(worker, link);
		return;
	}
	arrival = malloc(sizeof(*arrival));
	if (!arrival) {
		log_line(LOG_INFO, "a client was not taken in: no memory");
		worker_dismiss(worker, link);
		return;
	}
	arrival->item.kind = ITEM_ARRIVAL;
	arrival->link = link;
	worker_post(worker, &arrival->item);
}

void server_accept(struct peal_server *server)
{
	struct peal_link *link;
	int err = 0;

	for (int i = 0; i < ACCEPTS && !err; i++) {
		err = peal_accept(server->listener, &link, 0);
		if (!err)
			place(server, link);
	}
	server->knocking = !err;
	server->preparing = server->options.ready != UINT32_MAX;
	/* Who could not be taken in has been told, or waits outside. */
	if (err && err != -EAGAIN && err != -EMFILE && err != -ENFILE && err != -ENOMEM)
		server->fault = err;
}

static void *work(void *data)
{
	struct worker *worker = data;

	if (worker->cpu >= 0 && peal_cpu_pin(worker->cpu, NULL))
		log_line(LOG_WARN, "worker %u is not pinned: %s", worker->index, peal_error());
	/* Pairs with the store in stop_workers, for its value only. */
	while (!__atomic_load_n(&worker->server->ending, __ATOMIC_RELAXED))
		if (worker_round(worker, PEAL_FOREVER) == -ESTALE)
			break;
	return NULL;
}

static void stop_workers(struct peal_server *server)
{
	/* Pairs with the load in work; the wake that follows makes them look. */
	__atomic_store_n(&server->ending, 1, __ATOMIC_RELAXED);
	for (uint32_t i = 1; i <= server->started; i++)
		worker_wake(&server->workers[i]);
	for (; server->started; server->started--)
		pthread_join(server->workers[server->started].thread, NULL);
	/* Likewise. */
	__atomic_store_n(&server->ending, 0, __ATOMIC_RELAXED);
}

static void choose_cpus(struct peal_server *server)
{
	int cpus[WORKERS_MAX];
	int err = peal_cpu_choose(cpus, server->count, -1, -1);

	if (err < 0)
		log_line(LOG_WARN, "workers are not pinned: %s", peal_error());
	for (uint32_t i = 0; err >= 0 && i < server->count; i++)
		server->workers[i].cpu = cpus[i];
}

/* Signals are for the program's own threads. */
static int start_workers(struct peal_server *server)
{
	sigset_t all, before;
	int err = 0;

	if (server->started + 1 == server->count)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!err && server->started + 1 < server->count) {
		struct worker *worker = &server->workers[server->started + 1];

		err = -pthread_create(&worker->thread, NULL, work, worker);
		server->started += !err;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!err)
		return 0;
	stop_workers(server);
	return error_set(err, "no thread for a worker (pthread_create, errno %d): %s", -err,
			 error_mend(err, "have fewer workers"));
}

/* Nobody who asked for it needs to know whether it could be told. */
static void tell_ready(struct peal_server *server)
{
	if (!server->told && (server->options.flags & PEAL_SERVER_NOTIFY))
		server->told = platform_notify("READY=1") == 1;
}

static void tell_stopping(struct peal_server *server)
{
	if (server->told)
		platform_notify("STOPPING=1");
	server->told = false;
}

/* One thread at a time. */
static int enter(struct peal_server *server)
{
	int err;

	if (server->stale)
		return server_stale();
	/* Pairs with the store in leave: what the last one did is seen. */
	if (__atomic_exchange_n(&server->running, 1, __ATOMIC_ACQUIRE))
		return error_literal(-EBUSY,
				     "another thread runs this server, or a callback steps it");
	if (server->options.flags & PEAL_SERVER_PIN && server->workers->cpu < 0)
		choose_cpus(server);
	err = start_workers(server);
	if (err) {
		__atomic_store_n(&server->running, 0, __ATOMIC_RELEASE); /* likewise */
		return err;
	}
	tell_ready(server);
	RING_DEBUG_ENTER(server, "peal_server_run");
	return 0;
}

static int leave(struct peal_server *server, int result)
{
	PEAL_DEBUG_LEAVE(server);
	/* Pairs with the exchange in enter. */
	__atomic_store_n(&server->running, 0, __ATOMIC_RELEASE);
	return result;
}

/* Whether it is to return, which is said once. */
static bool is_stopped(struct peal_server *server)
{
	/* Pairs with the store in peal_server_stop: what was done before that is seen. */
	if (!__atomic_load_n(&server->stop, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(&server->stop, 0, __ATOMIC_ACQUIRE))
		return false;
	tell_stopping(server);
	return true;
}

static int say_fault(const struct peal_server *server)
{
	return error_set(server->fault, "the listener is gone (errno %d): open another server",
			 -server->fault);
}

static int stopped(void)
{
	return error_literal(-ECANCELED, "the server was told to stop");
}

int peal_server_run(struct peal_server *server)
{
	struct peal_affinity *affinity = NULL;
	int err = enter(server);

	if (err)
		return err;
	if (server->workers->cpu >= 0 && peal_cpu_pin(server->workers->cpu, &affinity)) {
		log_line(LOG_WARN, "worker 0 is not pinned: %s", peal_error());
		affinity = NULL;
	}
	while (err >= 0 && !is_stopped(server)) {
		err = worker_round(server->workers, PEAL_FOREVER);
		if (err >= 0 && server->fault)
			err = say_fault(server);
	}
	if (!server->stale)
		stop_workers(server);
	peal_cpu_unpin(affinity);
	return leave(server, err < 0 ? err : 0);
}

int peal_server_step(struct peal_server *server, int64_t timeout)
{
	struct worker *worker = server->workers;
	int result = enter(server);

	if (result)
		return result;
	do {
		if (is_stopped(server))
			return leave(server, stopped());
		result = timeout || server->spins ? worker_round(worker, timeout) :
						    worker_round_armed(worker);
		if (result >= 0 && server->fault)
			result = say_fault(server);
		if (result == 0 && is_stopped(server))
			result = stopped();
		/* The round may have taken its ring for another's, and the program polls. Pairs
		 * with the store in peal_server_stop, for its value only. */
		if (result > 0 && __atomic_load_n(&server->stop, __ATOMIC_RELAXED))
			worker_wake(worker);
	} while (timeout < 0 && (result == -EAGAIN || result == -ETIMEDOUT));
	return leave(server, result);
}

int peal_server_fd(const struct peal_server *server)
{
	if (server->stale)
		return server_stale();
	if (server->spins)
		return error_literal(
			-EOPNOTSUPP,
			"the server's links spin (PEAL_WAIT_SPIN), so nobody rings for them: choose another way of waiting");
	return peal_set_fd(server->workers->set);
}

void peal_server_stop(struct peal_server *server)
{
	int before = errno;

	/* Pairs with the exchange in is_stopped. */
	__atomic_store_n(&server->stop, 1, __ATOMIC_RELEASE);
	worker_wake(server->workers);
	errno = before;
}

void peal_server_close(struct peal_server *server)
{
	if (!server)
		return;
	/* A child has what its parent's threads were in the midst of: that is left alone. */
	if (server->stale && (server->started || server->running))
		return;
	PEAL_DEBUG_ENTER(server);
	if (!server->stale) {
		stop_workers(server);
		tell_stopping(server);
	}
	for (uint32_t i = 0; i < server->count; i++)
		worker_end(&server->workers[i], PEAL_END_STOPPED);
	PEAL_DEBUG_LEAVE(server);
	destroy(server);
}

static uint64_t counted(const uint64_t *counter)
{
	/* Pairs with the stores of the worker: each is whole, no more. */
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add_worker(struct peal_server_counters *now, const struct worker *worker,
		       uint64_t *slow_since)
{
	const struct worker_counts *counts = &worker->counts;
	pthread_mutex_t *lock = &((struct worker *)(uintptr_t)worker)->slow_lock;

	now->clients += counted(&counts->clients);
	now->accepted += counted(&counts->accepted);
	now->messages += counted(&counts->messages);
	now->replies += counted(&counts->replies);
	now->queued += counted(&counts->queued);
	now->lost += counted(&counts->lost);
	now->stalls += counted(&counts->stalls);
	now->slow_clients += counted(&counts->slow_clients);
	now->dropped += counted(&counts->dropped);
	now->disconnected += counted(&counts->disconnected);
	now->wakeups += set_wakeups(worker->set);
	pthread_mutex_lock(lock);
	if (worker->slow_since && worker->slow_since < *slow_since) {
		*slow_since = worker->slow_since;
		now->slow_peer = worker->slow_peer;
	}
	pthread_mutex_unlock(lock);
}

int peal_server_count(const struct peal_server *server, struct peal_server_counters *counters)
{
	struct peal_server_counters now = { .size = sizeof(now) };
	uint64_t time = platform_now(), slow_since = UINT64_MAX;

	if (counters->size != sizeof(now))
		return error_set(
			-EINVAL,
			"counters->size is %u: set it to sizeof(struct peal_server_counters), %zu",
			counters->size, sizeof(now));
	if (server->stale)
		return server_stale();
	now.workers = server->count;
	for (uint32_t i = 0; i < server->count; i++)
		add_worker(&now, &server->workers[i], &slow_since);
	now.refused = server->limited ? listen_refused(server->listener) : 0;
	if (slow_since < time)
		now.slow_ns = time - slow_since;
	*counters = now;
	return 0;
}
