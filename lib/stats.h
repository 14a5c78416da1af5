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

#include "platform/platform.h"

/*
 * Shared layout of a stats object, version 1: this header in its first page, then the slots.
 * Written by: this process, before anybody sees it. Read by: monitors, which must check magic,
 * layout and sizes, and take every value as hostile.
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
	uint64_t started_ns; /* monotonic; the same in all objects of a process */
	uint8_t spare[96];
};

/* Of the words of struct peal_counters these, from messages on, are added up when a link has ended;
 * of the one behind them, high_water, the most is kept. */
#define STATS_FIRST 2
#define STATS_SUMS 8
#define STATS_PAST (STATS_SUMS + 1)

/* What the links came to that had a slot before. */
struct stats_past {
	uint64_t tx[STATS_PAST];
	uint64_t rx[STATS_PAST];
};

/*
 * A slot. `turn` grows by one when a link takes the slot, and by one when the link has ended: odd,
 * it is a link's. What the links before came to is past[turn / 2 % 2]; the other one is written
 * while a link ends, and counts from the next turn on. So all that a monitor looks at is in order
 * at any moment, wherever this process has been stopped, as long as `turn` was the same before (an
 * acquire) and after. Written by: this process; from role on while the slot is nobody's, but the
 * counters by the link's ends. Read by: monitors, which must check nothing but the texts.
 */
struct stats_slot {
	uint64_t turn; /* stored last (release) */
	uint32_t role; /* an enum peal_role */
	uint32_t wait; /* an enum peal_wait */
	int64_t peer_pid;
	uint32_t peer_uid;
	uint32_t peer_gid;
	char peer_name[64];
	uint64_t tx_capacity;
	uint64_t rx_capacity;
	uint64_t since_ns; /* monotonic */
	uint64_t spare;
	struct stats_past past[2];
	uint8_t spare_past[96];
	struct peal_counters tx;
	struct peal_counters rx;
	struct peal_offcpu tx_offcpu;
	struct peal_offcpu rx_offcpu;
};

/* Takes a slot for a link and fills in who it is. Never fails: without memory for more slots links
 * share one that no monitor sees. */
struct stats_slot *stats_take(uint32_t role, uint32_t wait, const struct peal_peer *peer,
			      uint64_t tx_capacity, uint64_t rx_capacity);

/* Gives it back: what the link has counted is final. */
void stats_give(struct stats_slot *slot);

/* Objects as they are handed to monitors: fd and size of up to PLATFORM_DESCRIPTORS of them. */
struct stats_view {
	int fd[PLATFORM_DESCRIPTORS];
	uint64_t size[PLATFORM_DESCRIPTORS];
	int count;
	uint64_t objects;    /* how many there are in all; they never become fewer */
	uint64_t started_ns; /* monotonic: when the first was made */
};

/* The objects from a number on, of which the oldest has 0; there is one at least. The descriptors
 * stay open as long as the process lives. 0 or -ENOMEM with its sentence. */
int stats_look(uint64_t first, struct stats_view *view);

/* For the fork handlers: around a fork, and in the child, which forgets its parent's objects. */
void stats_lock(void);
void stats_unlock(void);
void stats_forget(void);

#endif
