/*
 * SPDX-License-Identifier: MIT
 *
 * UCX over shared memory: tag matching of UCP, which its ucx_perftest shows to be as quick as
 * active messages in small round trips, and quicker in streams. A message is received where it is
 * wanted, as that program does: the receive is posted, then progress is made until it is there.
 *
 * Of the transports it has posix, the default of shared memory; cma beside that, which copies from
 * process to process by the kernel; and self, which it wants to have. The queue of posix holds as
 * many messages as fill a ring, with the memory that UCX takes for each of any size, but no fewer
 * than by default. All else is left as it is, but that messages of every size go through that queue
 * (RNDV_THRESH). By default those from some KiB on go by cma: where payloads have just been
 * written, round trips take up to three times as long, and most streams have less; ucx_perftest
 * writes to none, and does not show that.
 *
 * Spinning is ucp_worker_progress. Sleeping is what ucp_worker_arm says: progress until there is
 * none, arm, poll the descriptor. A sender that has no room cannot be armed, and goes on looking.
 * Contexts and workers are for one thread each.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ucp/api/ucp.h>

#include "complaint.h"
#include "meeting.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

#define TRANSPORTS "posix,cma,self"
#define TAG 1
#define ADDRESS_LARGEST 4096
#define LOOKS 65536 /* between two questions whether to give up */

/* A place in the queue of its shared memory: an element, which takes a short message, and a buffer
 * for a longer one, which is always there. These, and the number, are its defaults. */
#define PLACE (128 + 8256)
#define PLACES_LEAST 64

struct ucx {
	ucp_context_h context;
	ucp_worker_h worker;
	ucp_ep_h peer;
	int events;   /* UCX's own descriptor; -1: spins */
	int listener; /* -1: has been closed */
};

static int refused(const char *call, ucs_status_t status)
{
	return complain(-EIO, "%s: %s", call, ucs_status_string(status));
}

/* Sleeps until something may have come. */
static int ucx_sleep(struct ucx *ucx)
{
	struct pollfd events = { .fd = ucx->events, .events = POLLIN };
	ucs_status_t status = ucp_worker_arm(ucx->worker);

	if (status == UCS_ERR_BUSY)
		return 0;
	if (status != UCS_OK)
		return refused("ucp_worker_arm", status);
	if (poll(&events, 1, -1) < 0)
		return watch_retry("poll");
	return 0;
}

/* Looks again, having found nothing: a step of the waits below. */
ALWAYS_INLINE int ucx_look(struct ucx *ucx, unsigned *looks)
{
	int err = 0;

	if (!ucp_worker_progress(ucx->worker) && ucx->events >= 0)
		err = ucx_sleep(ucx);
	if (!(++*looks % LOOKS) && watch_abandoned())
		err = complain(-ECANCELED, "given up");
	return err;
}

static int ucx_send_on(struct ucx *ucx, void *request)
{
	ucs_status_t status;
	unsigned looks = 0;
	int err = 0;

	if (UCS_PTR_IS_ERR(request))
		return refused("ucp_tag_send_nbx", UCS_PTR_STATUS(request));
	while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS && !err)
		err = ucx_look(ucx, &looks);
	ucp_request_free(request);
	return err || status == UCS_OK ? err : refused("ucp_tag_send_nbx", status);
}

ALWAYS_INLINE int ucx_send(void *end, const void *payload, size_t size)
{
	static const ucp_request_param_t plain;
	struct ucx *ucx = end;
	void *request = ucp_tag_send_nbx(ucx->peer, payload, size, TAG, &plain);

	return request ? ucx_send_on(ucx, request) : 0;
}

ALWAYS_INLINE int ucx_recv(void *end, void *payload, size_t size)
{
	struct ucx *ucx = end;
	ucp_tag_recv_info_t info;
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_RECV_INFO,
		.recv_info.tag_info = &info,
	};
	void *request = ucp_tag_recv_nbx(ucx->worker, payload, size, TAG, ~(ucp_tag_t)0, &param);
	ucs_status_t status = UCS_OK;
	unsigned looks = 0;
	int err = 0;

	if (__builtin_expect(UCS_PTR_IS_ERR(request), 0))
		return refused("ucp_tag_recv_nbx", UCS_PTR_STATUS(request));
	if (request) {
		while ((status = ucp_tag_recv_request_test(request, &info)) == UCS_INPROGRESS &&
		       !err)
			err = ucx_look(ucx, &looks);
		if (__builtin_expect(err, 0))
			ucp_request_cancel(ucx->worker, request);
		ucp_request_free(request);
	}
	if (__builtin_expect(err, 0))
		return err;
	if (__builtin_expect(status != UCS_OK, 0))
		return refused("ucp_tag_recv_nbx", status);
	return __builtin_expect(info.length == size, 1) ? 0 : slice_wrong_size(size, info.length);
}

static const struct verbs verbs = { .send = ucx_send, .recv = ucx_recv };

TRANSPORT_LOOPS(loops, verbs);

/* How many messages the queue of shared memory holds: a power of two. */
static unsigned ucx_places(const struct setup *setup)
{
	unsigned places = PLACES_LEAST;

	while (places * 2 * (uint64_t)PLACE <= setup->ring)
		places *= 2;
	return places;
}

static int ucx_configure(const struct setup *setup, ucp_config_t *config)
{
	ucs_status_t status = ucp_config_modify(config, "TLS", TRANSPORTS);
	char places[16];

	snprintf(places, sizeof(places), "%u", ucx_places(setup));
	if (status == UCS_OK)
		status = ucp_config_modify(config, "MM_FIFO_SIZE", places);
	if (status == UCS_OK)
		status = ucp_config_modify(config, "RNDV_THRESH", "inf");
	return status == UCS_OK ? 0 : refused("ucp_config_modify", status);
}

static int ucx_context(struct ucx *ucx, const struct setup *setup)
{
	const ucp_params_t params = {
		.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_ESTIMATED_NUM_EPS,
		.features = UCP_FEATURE_TAG |
			    (setup->wait == WAIT_SLEEP ? (uint64_t)UCP_FEATURE_WAKEUP : 0),
		.estimated_num_eps = 1,
	};
	ucp_config_t *config;
	ucs_status_t status = ucp_config_read(NULL, NULL, &config);
	int err;

	if (status != UCS_OK)
		return refused("ucp_config_read", status);
	err = ucx_configure(setup, config);
	if (!err) {
		status = ucp_init(&params, config, &ucx->context);
		err = status == UCS_OK ? 0 : refused("ucp_init", status);
	}
	ucp_config_release(config);
	return err;
}

/* The thread that makes a worker may leave it to another one. */
static int ucx_worker(struct ucx *ucx, const struct setup *setup)
{
	const ucp_worker_params_t params = {
		.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
		.thread_mode = UCS_THREAD_MODE_SERIALIZED,
	};
	ucs_status_t status = ucp_worker_create(ucx->context, &params, &ucx->worker);

	if (status != UCS_OK)
		return refused("ucp_worker_create", status);
	if (setup->wait != WAIT_SLEEP)
		return 0;
	status = ucp_worker_get_efd(ucx->worker, &ucx->events);
	return status == UCS_OK ? 0 : refused("ucp_worker_get_efd", status);
}

/* Ends what is under way, within reason: the peer may be dead. */
static void ucx_leave(struct ucx *ucx)
{
	static const ucp_request_param_t plain;
	void *request = ucp_ep_close_nbx(ucx->peer, &plain);

	if (!UCS_PTR_IS_PTR(request))
		return;
	for (int i = 0; i < LOOKS && ucp_request_check_status(request) == UCS_INPROGRESS; i++)
		ucp_worker_progress(ucx->worker);
	ucp_request_free(request);
}

static void ucx_close(void *end)
{
	struct ucx *ucx = end;

	if (ucx->peer)
		ucx_leave(ucx);
	if (ucx->worker)
		ucp_worker_destroy(ucx->worker);
	if (ucx->context)
		ucp_cleanup(ucx->context);
	if (ucx->listener >= 0)
		close(ucx->listener);
	free(ucx);
}

static int ucx_new(const struct setup *setup, struct ucx **made)
{
	struct ucx *ucx = calloc(1, sizeof(*ucx));
	int err;

	if (!ucx)
		return complain(-ENOMEM, "no memory for an end");
	ucx->events = ucx->listener = -1;
	err = ucx_context(ucx, setup);
	if (!err)
		err = ucx_worker(ucx, setup);
	if (err)
		ucx_close(ucx);
	else
		*made = ucx;
	return err;
}

/* Gives the other side the own worker's address. */
static int ucx_offer(const struct ucx *ucx, int socket)
{
	ucp_address_t *address;
	size_t length;
	ucs_status_t status = ucp_worker_get_address(ucx->worker, &address, &length);
	int err = 0;

	if (status != UCS_OK)
		return refused("ucp_worker_get_address", status);
	if (send(socket, address, length, MSG_NOSIGNAL) != (ssize_t)length)
		err = complain_errno("sending an address");
	ucp_worker_release_address(ucx->worker, address);
	return err;
}

/* Connects to the address that the other side gives. */
static int ucx_take(struct ucx *ucx, int socket)
{
	uint8_t address[ADDRESS_LARGEST];
	const ucp_ep_params_t params = {
		.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
		.address = (const ucp_address_t *)address,
	};
	ucs_status_t status;
	ssize_t length;

	while ((length = recv(socket, address, sizeof(address), 0)) < 0) {
		int err = watch_retry("receiving an address");

		if (err)
			return err;
	}
	if (!length)
		return complain(-ECONNRESET, "the other side has closed its socket");
	status = ucp_ep_create(ucx->worker, &params, &ucx->peer);
	return status == UCS_OK ? 0 : refused("ucp_ep_create", status);
}

static int ucx_exchange(struct ucx *ucx, int socket)
{
	int err = ucx_offer(ucx, socket);

	return err ? err : ucx_take(ucx, socket);
}

static int ucx_listen(const struct setup *setup, void **end)
{
	struct ucx *ucx;
	int err = ucx_new(setup, &ucx);

	if (err)
		return err;
	ucx->listener = meeting_listen(setup->path, SOCK_SEQPACKET, 1);
	if (ucx->listener < 0) {
		err = ucx->listener;
		ucx_close(ucx);
		return err;
	}
	*end = ucx;
	return 0;
}

static int ucx_accept(void *end)
{
	struct ucx *ucx = end;
	int socket = meeting_accept(ucx->listener);
	int err;

	if (socket < 0)
		return socket;
	err = ucx_exchange(ucx, socket);
	close(socket);
	close(ucx->listener);
	ucx->listener = -1;
	return err;
}

static int ucx_connect(const struct setup *setup, void **end)
{
	struct ucx *ucx;
	int socket, err = ucx_new(setup, &ucx);

	if (err)
		return err;
	socket = meeting_connect(setup->path, SOCK_SEQPACKET);
	err = socket < 0 ? socket : ucx_exchange(ucx, socket);
	if (socket >= 0)
		close(socket);
	if (err)
		ucx_close(ucx);
	else
		*end = ucx;
	return err;
}

static int ucx_pair(const struct setup *setup, void *ends[2])
{
	struct ucx *one, *two;
	int sockets[2];
	int err = ucx_new(setup, &one);

	if (err)
		return err;
	err = ucx_new(setup, &two);
	if (err)
		goto close_one;
	err = meeting_pair(SOCK_SEQPACKET, sockets);
	if (err)
		goto close_two;
	err = ucx_offer(one, sockets[0]);
	if (!err)
		err = ucx_exchange(two, sockets[1]);
	if (!err)
		err = ucx_take(one, sockets[0]);
	close(sockets[0]);
	close(sockets[1]);
	if (err)
		goto close_two;
	ends[0] = one;
	ends[1] = two;
	return 0;

close_two:
	ucx_close(two);
close_one:
	ucx_close(one);
	return err;
}

const struct transport transport_ucx = {
	.name = "ucx",
	.about = "UCX over shared memory, by tag matching",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.rings = true,
	.listen = ucx_listen,
	.accept = ucx_accept,
	.connect = ucx_connect,
	.pair = ucx_pair,
	.close = ucx_close,
	.loops = &loops,
};
