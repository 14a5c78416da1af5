/*
 * SPDX-License-Identifier: MIT
 *
 * libfabric over its provider for shared memory: reliable datagrams, as its fi_rdm_pingpong does
 * it. A message that is no longer than the provider injects is injected; a longer one is sent, and
 * the completion awaited, for until then the provider reads it from where it is. A message is
 * received where it is wanted: the receive is posted, then the completion queue is read until it is
 * there, which is what makes progress.
 *
 * Long messages go through shared memory in pieces (FI_SHM_DISABLE_CMA). By default they go by
 * process_vm_readv where the system lets it: with 8 KiB to 1 MiB round trips took half as long
 * again or more, and streams had half to four fifths of the messages. Who sets that variable
 * decides.
 *
 * The provider has nothing to sleep by: its blocking read of a completion queue yields. Its memory
 * is 16 MiB in each direction, whatever sizes of queues it is asked for; so it has no ring to set.
 *
 * An object in /dev/shm has the name of an endpoint. It is removed as soon as both sides have it
 * mapped, so that a side which is killed leaves none.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>

#include "complaint.h"
#include "meeting.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

#define LOOKS 65536 /* between two questions whether to give up */
#define NAME_SIZE 128

struct ofi {
	struct fi_info *info;
	struct fid_fabric *fabric;
	struct fid_domain *domain;
	struct fid_av *addresses;
	struct fid_cq *sent, *came;
	struct fid_ep *endpoint;
	fi_addr_t peer;
	size_t inject_size;
	struct fi_context sending, receiving;
	int listener; /* -1: has been closed */

	/* Inside one process. */
	struct ofi *first, *second; /* of both ends; NULL */
	int open;                   /* of the first: ends that have not been closed */
};

static int refused(const char *call, ssize_t err)
{
	return complain(-EIO, "%s: %s", call, fi_strerror((int)-err));
}

/* What a completion queue says when it says no. */
static int failed(struct fid_cq *queue)
{
	struct fi_cq_err_entry entry = { .err = 0 };
	ssize_t got = fi_cq_readerr(queue, &entry, 0);

	return got < 0 ? refused("fi_cq_readerr", got) : refused("a completion", -entry.err);
}

static int give_up(void)
{
	return watch_abandoned() ? complain(-ECANCELED, "given up") : 0;
}

/* Reads a completion queue until it has something. */
ALWAYS_INLINE int ofi_complete(struct fid_cq *queue, struct fi_cq_msg_entry *entry)
{
	for (unsigned looks = 1;; looks++) {
		ssize_t got = fi_cq_read(queue, entry, 1);

		if (__builtin_expect(got == 1, 1))
			return 0;
		if (got == -FI_EAVAIL)
			return failed(queue);
		if (got != -FI_EAGAIN)
			return refused("fi_cq_read", got);
		if (!(looks % LOOKS)) {
			int err = give_up();

			if (err)
				return err;
		}
		peal_relax();
	}
}

/* After a call that found no room: makes progress, but takes nothing. */
static int ofi_again(struct ofi *ofi, const char *call, ssize_t got, unsigned *looks)
{
	if (got != -FI_EAGAIN)
		return refused(call, got);
	fi_cq_read(ofi->sent, NULL, 0);
	return ++*looks % LOOKS ? 0 : give_up();
}

ALWAYS_INLINE int ofi_send(void *end, const void *payload, size_t size)
{
	struct ofi *ofi = end;
	struct fi_cq_msg_entry entry;
	unsigned looks = 0;
	ssize_t got;
	int err;

	if (size <= ofi->inject_size) {
		while ((got = fi_inject(ofi->endpoint, payload, size, ofi->peer))) {
			err = ofi_again(ofi, "fi_inject", got, &looks);
			if (err)
				return err;
		}
		return 0;
	}
	while ((got = fi_send(ofi->endpoint, payload, size, NULL, ofi->peer, &ofi->sending))) {
		err = ofi_again(ofi, "fi_send", got, &looks);
		if (err)
			return err;
	}
	return ofi_complete(ofi->sent, &entry);
}

ALWAYS_INLINE int ofi_recv(void *end, void *payload, size_t size)
{
	struct ofi *ofi = end;
	struct fi_cq_msg_entry entry;
	unsigned looks = 0;
	ssize_t got;
	int err;

	while ((got = fi_recv(ofi->endpoint, payload, size, NULL, FI_ADDR_UNSPEC,
			      &ofi->receiving))) {
		err = ofi_again(ofi, "fi_recv", got, &looks);
		if (err)
			return err;
	}
	err = ofi_complete(ofi->came, &entry);
	if (err)
		return err;
	return __builtin_expect(entry.len == size, 1) ? 0 : slice_wrong_size(size, entry.len);
}

static const struct verbs verbs = { .send = ofi_send, .recv = ofi_recv };

TRANSPORT_LOOPS(loops, verbs);

/* The provider, with what is asked of it. */
static int ofi_info(struct ofi *ofi)
{
	struct fi_info *hints = fi_allocinfo();
	int err = -FI_ENOMEM;

	setenv("FI_SHM_DISABLE_CMA", "1", 0);
	if (hints)
		hints->fabric_attr->prov_name = strdup("shm");
	if (hints && hints->fabric_attr->prov_name) {
		hints->ep_attr->type = FI_EP_RDM;
		hints->caps = FI_MSG;
		hints->mode = FI_CONTEXT;
		hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED |
					      FI_MR_PROV_KEY;
		hints->domain_attr->threading = FI_THREAD_DOMAIN;
		hints->tx_attr->msg_order = hints->rx_attr->msg_order = FI_ORDER_SAS;
		err = fi_getinfo(FI_VERSION(1, 11), NULL, NULL, 0, hints, &ofi->info);
	}
	fi_freeinfo(hints);
	if (err)
		return refused("fi_getinfo", err);
	ofi->inject_size = ofi->info->tx_attr->inject_size;
	return 0;
}

static int ofi_open(struct ofi *ofi)
{
	struct fi_av_attr addresses = { .type = FI_AV_TABLE, .count = 1 };
	struct fi_cq_attr queue = {
		.format = FI_CQ_FORMAT_MSG,
		.wait_obj = FI_WAIT_NONE,
		.size = ofi->info->rx_attr->size,
	};
	int err = fi_fabric(ofi->info->fabric_attr, &ofi->fabric, NULL);

	if (err)
		return refused("fi_fabric", err);
	err = fi_domain(ofi->fabric, ofi->info, &ofi->domain, NULL);
	if (err)
		return refused("fi_domain", err);
	err = fi_av_open(ofi->domain, &addresses, &ofi->addresses, NULL);
	if (err)
		return refused("fi_av_open", err);
	err = fi_cq_open(ofi->domain, &queue, &ofi->sent, NULL);
	if (!err)
		err = fi_cq_open(ofi->domain, &queue, &ofi->came, NULL);
	return err ? refused("fi_cq_open", err) : 0;
}

static int ofi_enable(struct ofi *ofi)
{
	int err = fi_endpoint(ofi->domain, ofi->info, &ofi->endpoint, NULL);

	if (err)
		return refused("fi_endpoint", err);
	err = fi_ep_bind(ofi->endpoint, &ofi->addresses->fid, 0);
	if (!err)
		err = fi_ep_bind(ofi->endpoint, &ofi->sent->fid, FI_TRANSMIT);
	if (!err)
		err = fi_ep_bind(ofi->endpoint, &ofi->came->fid, FI_RECV);
	if (err)
		return refused("fi_ep_bind", err);
	err = fi_enable(ofi->endpoint);
	return err ? refused("fi_enable", err) : 0;
}

static void ofi_free(struct ofi *ofi)
{
	if (ofi->endpoint)
		fi_close(&ofi->endpoint->fid);
	if (ofi->came)
		fi_close(&ofi->came->fid);
	if (ofi->sent)
		fi_close(&ofi->sent->fid);
	if (ofi->addresses)
		fi_close(&ofi->addresses->fid);
	if (ofi->domain)
		fi_close(&ofi->domain->fid);
	if (ofi->fabric)
		fi_close(&ofi->fabric->fid);
	if (ofi->info)
		fi_freeinfo(ofi->info);
	if (ofi->listener >= 0)
		close(ofi->listener);
	free(ofi);
}

/* Two endpoints of one process look into each other's memory: the last one out frees both. */
static void ofi_close(void *end)
{
	struct ofi *ofi = end, *first = ofi->first, *second = ofi->second;

	if (!first) {
		ofi_free(ofi);
	} else if (!__atomic_sub_fetch(&first->open, 1, __ATOMIC_ACQ_REL)) {
		ofi_free(second);
		ofi_free(first);
	}
}

static int ofi_new(struct ofi **made)
{
	struct ofi *ofi = calloc(1, sizeof(*ofi));
	int err;

	if (!ofi)
		return complain(-ENOMEM, "no memory for an end");
	ofi->listener = -1;
	err = ofi_info(ofi);
	if (!err)
		err = ofi_open(ofi);
	if (!err)
		err = ofi_enable(ofi);
	if (err)
		ofi_close(ofi);
	else
		*made = ofi;
	return err;
}

static int say(int socket, const void *what, size_t size)
{
	return send(socket, what, size, MSG_NOSIGNAL) == (ssize_t)size ?
		       0 :
		       complain_errno("sending an address");
}

static int hear(int socket, void *what, size_t size)
{
	ssize_t length;

	while ((length = recv(socket, what, size, 0)) < 0) {
		int err = watch_retry("receiving an address");

		if (err)
			return err;
	}
	return length ? 0 : complain(-ECONNRESET, "the other side has closed its socket");
}

/* Gives the other side the own name. */
static int ofi_offer(const struct ofi *ofi, int socket)
{
	char name[NAME_SIZE] = "";
	size_t size = sizeof(name) - 1;
	int err = fi_getname(&ofi->endpoint->fid, name, &size);

	return err ? refused("fi_getname", err) : say(socket, name, sizeof(name));
}

/* Maps the endpoint that the other side names, and says so; the name has been of use then. */
static int ofi_take(struct ofi *ofi, int socket, char *name)
{
	int err = hear(socket, name, NAME_SIZE), count;

	if (err)
		return err;
	name[NAME_SIZE - 1] = 0;
	count = fi_av_insert(ofi->addresses, name, 1, &ofi->peer, 0, NULL);
	if (count != 1)
		return refused("fi_av_insert", count < 0 ? count : -FI_EINVAL);
	return say(socket, "", 1);
}

static void ofi_unlink(const char *name)
{
	const char *plain = strstr(name, "://");
	char path[NAME_SIZE + 1];

	snprintf(path, sizeof(path), "/%s", plain ? plain + strlen("://") : name);
	shm_unlink(path);
}

/* Removes the other side's name, once that has mapped ours. */
static int ofi_forget(int socket, const char *name)
{
	char byte;
	int err = hear(socket, &byte, 1);

	ofi_unlink(name);
	return err;
}

static int ofi_exchange(struct ofi *ofi, int socket)
{
	char name[NAME_SIZE] = "";
	int err = ofi_offer(ofi, socket);

	if (!err)
		err = ofi_take(ofi, socket, name);
	if (!err)
		err = ofi_forget(socket, name);
	else if (*name)
		ofi_unlink(name);
	return err;
}

static int ofi_listen(const struct setup *setup, void **end)
{
	struct ofi *ofi;
	int err = ofi_new(&ofi);

	if (err)
		return err;
	ofi->listener = meeting_listen(setup->path, SOCK_SEQPACKET, 1);
	if (ofi->listener < 0) {
		err = ofi->listener;
		ofi_close(ofi);
		return err;
	}
	*end = ofi;
	return 0;
}

static int ofi_accept(void *end)
{
	struct ofi *ofi = end;
	int socket = meeting_accept(ofi->listener);
	int err;

	if (socket < 0)
		return socket;
	err = ofi_exchange(ofi, socket);
	close(socket);
	close(ofi->listener);
	ofi->listener = -1;
	return err;
}

static int ofi_connect(const struct setup *setup, void **end)
{
	struct ofi *ofi;
	int socket, err = ofi_new(&ofi);

	if (err)
		return err;
	socket = meeting_connect(setup->path, SOCK_SEQPACKET);
	err = socket < 0 ? socket : ofi_exchange(ofi, socket);
	if (socket >= 0)
		close(socket);
	if (err)
		ofi_close(ofi);
	else
		*end = ofi;
	return err;
}

static int ofi_pair(const struct setup *setup, void *ends[2])
{
	char names[2][NAME_SIZE];
	struct ofi *one, *two;
	int sockets[2];
	int err = ofi_new(&one);

	if (err)
		return err;
	err = ofi_new(&two);
	if (err)
		goto close_one;
	err = meeting_pair(SOCK_SEQPACKET, sockets);
	if (err)
		goto close_two;
	err = ofi_offer(one, sockets[0]);
	if (!err)
		err = ofi_offer(two, sockets[1]);
	if (!err)
		err = ofi_take(one, sockets[0], names[0]);
	if (!err)
		err = ofi_take(two, sockets[1], names[1]);
	if (!err)
		err = ofi_forget(sockets[0], names[0]);
	if (!err)
		err = ofi_forget(sockets[1], names[1]);
	close(sockets[0]);
	close(sockets[1]);
	if (err)
		goto close_two;
	one->first = two->first = one;
	one->second = two->second = two;
	one->open = 2;
	ends[0] = one;
	ends[1] = two;
	return 0;

close_two:
	ofi_close(two);
close_one:
	ofi_close(one);
	return err;
}

const struct transport transport_ofi_shm = {
	.name = "ofi-shm",
	.about = "libfabric's provider for shared memory",
	.waits = 1 << WAIT_SPIN,
	.listen = ofi_listen,
	.accept = ofi_accept,
	.connect = ofi_connect,
	.pair = ofi_pair,
	.close = ofi_close,
	.loops = &loops,
};
