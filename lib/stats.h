/*
 * SPDX-License-Identifier: MIT
 *
 * Stats objects: shared memory of fixed slots, a slot a link, that this process alone writes and
 * that monitors may be given to read.
 */
#ifndef LIB_STATS_H
#define LIB_STATS_H

#include <peal/options.h>
#include <peal/stats.h>

/*
 * Shared layout of a stats object, version 1: this header in its first page, then the slots.
 * Written by: this process. Read by: monitors, which must check magic, layout and sizes, and take
 * every value as hostile.
 */
#define STATS_MAGIC 0x54534c50u /* "PLST" */
#define STATS_LAYOUT 1u

struct stats_header {
	uint32_t magic;
	uint32_t layout;
	uint32_t slots;      /* how many */
	uint32_t slot_size;  /* bytes each */
	uint32_t slot_start; /* offset of the first */
	uint32_t pid;
	uint64_t started_ns; /* monotonic */
	uint8_t spare[96];
};

enum stats_state { STATS_FREE = 0, STATS_LIVE = 1 };

struct stats_slot {
	uint32_t state;      /* an enum stats_state; stored last (release) */
	uint32_t generation; /* grows with every link that has this slot */
	uint32_t role;       /* 0 client, 1 server, 2 in-process pair */
	uint32_t wait;       /* an enum peal_wait */
	int64_t peer_pid;
	uint32_t peer_uid;
	uint32_t peer_gid;
	char peer_name[64];
	uint64_t tx_capacity;
	uint64_t rx_capacity;
	uint64_t since_ns; /* monotonic */
	uint8_t spare[136];
	struct peal_counters tx;
	struct peal_counters rx;
	uint64_t tx_histogram[64]; /* sampled; zero in this version */
	uint64_t rx_histogram[64];
	uint8_t spare_end[256];
};

/* Takes a slot for a link and fills in who it is. Never fails: without memory for more slots links
 * share one that no monitor sees. */
struct stats_slot *stats_take(uint32_t role, uint32_t wait, const struct peal_peer *peer,
			      uint64_t tx_capacity, uint64_t rx_capacity);
void stats_give(struct stats_slot *slot);

/* For the fork handlers: around a fork, and in the child, which forgets its parent's objects. */
void stats_lock(void);
void stats_unlock(void);
void stats_forget(void);

#endif
