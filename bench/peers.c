/*
 * SPDX-License-Identifier: MIT
 *
 * Peers: the list of those that were there when this was built, in the order of the tables. Before
 * them two that need nothing, and show what techniques of Peal's gain.
 */
#include "config.h"

#include "transport.h"

/* Peal's bare ring without one thing or another. */
extern const struct transport transport_bare_index;
extern const struct transport transport_bare_wrap;

/* Between processes. */
extern const struct transport transport_nng;
extern const struct transport transport_qb_ring;
extern const struct transport transport_qb_shm;
extern const struct transport transport_qb_sock;
extern const struct transport transport_zmq;
extern const struct transport transport_ucx;
extern const struct transport transport_iceoryx;
extern const struct transport transport_ofi_shm;
extern const struct transport transport_boost_mq;

/* Between threads. */
extern const struct transport transport_atomic_queue;
extern const struct transport transport_optimist_queue;
extern const struct transport transport_boost_spsc;
extern const struct transport transport_ck_ring;
extern const struct transport transport_readerwriterqueue;
extern const struct transport transport_rw_circular;
extern const struct transport transport_rte_ring;

const struct transport *const transport_peers[] = {
#ifdef PEER_BARE_OTHER
	&transport_bare_index,
	&transport_bare_wrap,
#endif
#ifdef PEER_NNG
	&transport_nng,
#endif
#ifdef PEER_QB_RING
	&transport_qb_ring,
#endif
#ifdef PEER_QB
	&transport_qb_shm,
	&transport_qb_sock,
#endif
#ifdef PEER_ZMQ
	&transport_zmq,
#endif
#ifdef PEER_UCX
	&transport_ucx,
#endif
#ifdef PEER_ICEORYX
	&transport_iceoryx,
#endif
#ifdef PEER_OFI_SHM
	&transport_ofi_shm,
#endif
#ifdef PEER_BOOST_MQ
	&transport_boost_mq,
#endif
#ifdef PEER_ATOMIC_QUEUE
	&transport_atomic_queue,
	&transport_optimist_queue,
#endif
#ifdef PEER_BOOST_SPSC
	&transport_boost_spsc,
#endif
#ifdef PEER_CK_RING
	&transport_ck_ring,
#endif
#ifdef PEER_READERWRITERQUEUE
	&transport_readerwriterqueue,
#endif
#ifdef PEER_RW_CIRCULAR
	&transport_rw_circular,
#endif
#ifdef PEER_RTE_RING
	&transport_rte_ring,
#endif
	NULL
};
