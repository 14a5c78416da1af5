/*
 * SPDX-License-Identifier: MIT
 *
 * Rings: the verbs that move messages, and the shared words that they touch. All of a message's
 * way while both sides are awake is in this file, inline, but for copies of 4 KiB and more
 * (lib/bulk.c); what is not (waiting, ringing, ending) is declared here and lives in lib/ring.c and
 * lib/bell.c. Each verb also exists as a function of the same name in the library, from the same
 * source, for callers who have no C compiler.
 *
 * The trust model. Each side owns one segment, its control page and then the data area that it
 * produces into, and only the owner can write it; the kernel holds everyone to that. What a peer
 * owns can change at any moment to anything. So each word of the peer's is loaded once, checked,
 * and only then used, and a lie ends that link with -EPROTO.
 *
 * The algorithm is the single-producer single-consumer ring with in-band publication: records are
 * a header and a payload, the header of the next record is zeroed before that of this one is
 * stored with release, and the consumer polls the header that it expects (the pre-zeroed header is
 * Aeron's; the private limit is FastForward's and MCRingBuffer's idea of reading the other side's
 * index only when needed). The data area is mapped twice, back to back, so no record ever wraps.
 */
#ifndef PEAL_RING_H
#define PEAL_RING_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <peal/error.h>
#include <peal/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

/* lib/ffi.c defines this to make real symbols of the verbs. */
#ifndef PEAL_INLINE
#define PEAL_INLINE static inline
#endif

/* For compilers: how a condition mostly turns out. */
#define PEAL_LIKELY(x) __builtin_expect(!!(x), 1)
#define PEAL_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* What different threads write stands this many bytes apart (two lines: CPUs fetch them in
 * pairs). */
#define PEAL_LINE 128

/*
 * Shared layout, version 1.
 */

/* The header of a record: one 64-bit word at a multiple of 8. Low half: length + 1 in 28 bits (0:
 * nothing here yet) and four flags. High half: a tag that belongs to the user. */
#define PEAL_HEADER_LENGTH 0x0fffffffu
#define PEAL_HEADER_MORE 0x10000000u     /* more fragments of this message follow */
#define PEAL_HEADER_CONTROL 0x20000000u  /* a record of Peal's own: abandon, cancel, error reply */
#define PEAL_HEADER_LAST 0x40000000u     /* the last reply of a call */
#define PEAL_HEADER_RESERVED 0x80000000u /* zero */
#define PEAL_HEADER_SIZE 8               /* bytes of a header */

/* A message longer than a record goes in fragments, records of the same tag: all but the last have
 * PEAL_HEADER_MORE, and the payload of the first begins with the 64-bit length of the whole. The
 * payload of a control record is 64 bits that say what it is. */
#define PEAL_CONTROL_ABANDON 1u /* no more comes of the message whose fragments came last */
/* Of calls, the tag is the call's; see peal/call.h. Above the kind, in the high half of the word,
 * an error has its errno (Linux's, positive), and behind the word its sentence, without a zero. */
#define PEAL_CONTROL_CANCEL 2u /* nobody waits for replies to this call any more */
#define PEAL_CONTROL_ERROR 3u  /* the last reply of this call is an error */

/* An asleep word. */
#define PEAL_ASLEEP 1u            /* rings are wanted */
#define PEAL_ASLEEP_DESCRIPTOR 2u /* by descriptor, not by futex */
#define PEAL_ASLEEP_FENCE 4u      /* the ringer must fence between publishing and looking here */
/* The ringer should note when it rings, beside the wake word. One that does not know this takes it
 * for a part of the epoch, which is only ever compared. */
#define PEAL_ASLEEP_TIMED 8u
#define PEAL_ASLEEP_EPOCH 16u /* the rest counts sleeps */

/* Past the caches of who writes: who reads them fetches them sooner from elsewhere. */
#define PEAL_BULK_AROUND 1u

/* Payloads from so many bytes on are copied by the library, which picks the way. */
#define PEAL_BULK 4096u

/*
 * A side's control page. Each word has one writing thread, of the owner's, and stands on lines that
 * only this thread writes. The peer reads it through a read-only mapping.
 */
struct peal_page {
	/* Written once, before the segment is handed over. For debuggers: nothing reads it
	 * again. */
	uint32_t magic;
	uint32_t layout;
	uint8_t spare0[PEAL_LINE - 8];

	/* Written by the owner's rx; read by the peer's tx, which checks that it is never behind
	 * the last one, never ahead of what was sent, and a multiple of 8: consumed up to here. */
	uint64_t head;
	uint8_t spare1[PEAL_LINE - 8];

	/* Written by the owner's rx; read by the peer's tx; any value is harmless: I sleep for
	 * data. Beside it, how I would have long payloads written: PEAL_BULK_AROUND, or any other
	 * way. */
	uint32_t rx_asleep;
	uint32_t rx_bulk;
	uint8_t spare2[PEAL_LINE - 8];

	/* Written by the owner's rx: I have rung your tx. Slept on by the peer's tx; any value is
	 * harmless. Beside it the asleep value that was rung for, which tells that the ringer knows
	 * of it, and, of who sleeps by futex or asks for it, when (monotonic ns, for
	 * estimates). */
	uint32_t room_wake;
	uint32_t room_acknowledged;
	uint64_t room_rung_ns;
	uint8_t spare3[PEAL_LINE - 16];

	/* Written by the owner's tx; read by the peer's rx; any value is harmless: I sleep for
	 * room, until your head is tx_wants. Beside it, what writing a KiB of long payloads takes
	 * me, in ticks of the CPU's counter, the usual way and PEAL_BULK_AROUND; 0: not known. */
	uint32_t tx_asleep;
	uint32_t spare4;
	uint64_t tx_wants;
	uint32_t tx_bulk[2];
	uint8_t spare5[PEAL_LINE - 24];

	/* Written by the owner's tx: I have rung your rx; as room_wake. */
	uint32_t data_wake;
	uint32_t data_acknowledged;
	uint64_t data_rung_ns;
	uint8_t spare6[PEAL_LINE - 16];

	/* Written by the owner's close: 0 while open, then 1 + the records that were left
	 * unread. */
	uint64_t closed;
	uint8_t spare7[PEAL_LINE - 8];

	/* Zero, up to the end of the page. */
	uint8_t spare8[PEAL_LINE];
};

/*
 * The private ends. Their fields are for the inline verbs; a program only holds pointers to them.
 */

struct peal_tx {
	uint8_t *data;                /* the own data area, mapped twice */
	uint64_t mask;                /* its capacity - 1 */
	uint64_t pos;                 /* end of the last record */
	uint64_t limit;               /* the peer's last known head + capacity; 0: look first */
	uint64_t largest;             /* longest message that one record may hold */
	uint64_t reserved;            /* bytes reserved + 1; 0: none */
	const struct peal_page *peer; /* the peer's page, hostile */
	struct peal_counters *counters;
	uint32_t last_rung;      /* the asleep value that was rung for last */
	uint32_t barrier;        /* reserved: 0 */
	uint32_t plain;          /* shorter ones are sent inline; at most PEAL_BULK */
	uint32_t inline_copy;    /* payloads from 8 to so many bytes (at most 64): copied inline */
	uint64_t pending_at;     /* the position of the first record that is not published yet, */
	uint64_t pending_header; /* and its header; 0: all are */
	uint32_t owner;          /* debug builds: the thread that is inside a verb */
	uint32_t part;           /* of a long message something was sent: one of peal_part */
	struct peal_link *link;
	uint64_t pending_messages; /* from pending_at on, */
	uint64_t pending_bytes;    /* and their payload; not counted yet */
	uint8_t spare[48];
};

/* Of peal_tx.part; for the library. */
enum peal_part {
	PEAL_PART_NONE = 0,    /* nothing */
	PEAL_PART_SENT = 1,    /* peal_send_part has sent some of it */
	PEAL_PART_GIVEN_UP = 2 /* and the peer has not been told yet that no more comes */
};

struct peal_rx {
	const uint8_t *data; /* the peer's data area, mapped twice, hostile */
	uint64_t mask;
	uint64_t pos;          /* consumed up to here */
	uint64_t held;         /* size of the record that was peeked; 0: none */
	uint64_t below;        /* a record that is a message is shorter; 0: none is one now */
	struct peal_page *own; /* the own page */
	const struct peal_page *peer; /* the peer's page, hostile */
	struct peal_counters *counters;
	uint32_t last_rung;
	uint32_t prefetch_bytes; /* lines so far ahead are asked for while a batch is taken */
	uint32_t inline_copy;    /* payloads from 8 to so many bytes (at most 64): copied inline */
	uint32_t owner;          /* debug builds: the thread that is inside a verb */
	struct peal_link *link;
	uint64_t mark; /* at this position the library wants to know: peal_mark_reached */
	uint8_t spare[56];
};

/* A received message. */
struct peal_message {
	const void *data; /* peal_peek: in place; peal_recv: the caller's buffer */
	size_t length;    /* bytes */
	uint32_t tag;     /* the sender's */
	/* Received: PEAL_HEADER_LAST or 0, and with PEAL_CALLS also PEAL_HEADER_CONTROL, of which
	 * see peal/call.h. Not looked at in sending. */
	uint32_t flags;
};

/* The slow ways; not to be called by programs. */
PEAL_API int peal_reserve_slow(struct peal_tx *tx, size_t length, int64_t timeout);
PEAL_API int peal_send_slow(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
			    int64_t timeout);
PEAL_API void peal_abort_part(struct peal_tx *tx);
PEAL_API void peal_flush_slow(struct peal_tx *tx);
PEAL_API int peal_commit_refuse(struct peal_tx *tx, size_t length);
PEAL_API void peal_publish_pending(struct peal_tx *tx);
PEAL_API void peal_publish_batch(struct peal_tx *tx, size_t length, uint32_t tag);
PEAL_API void peal_ring_data(struct peal_tx *tx, uint32_t asleep);
PEAL_API void peal_ring_room(struct peal_rx *rx);
PEAL_API void peal_release_refused(struct peal_rx *rx);
PEAL_API uint64_t peal_peek_wait(struct peal_rx *rx, int64_t timeout, int *err);
PEAL_API int peal_peek_other(struct peal_rx *rx, uint64_t header, struct peal_message *message,
			     int64_t timeout);
PEAL_API ssize_t peal_recv_other(struct peal_rx *rx, uint64_t header, void *buffer, size_t size,
				 struct peal_message *about, int64_t timeout);
PEAL_API void peal_put_bulk(struct peal_tx *tx, void *to, const void *from, size_t length);
PEAL_API void peal_take_bulk(struct peal_rx *rx, void *to, const void *from, size_t length);
PEAL_API void peal_mark_reached(struct peal_rx *rx);
PEAL_API void peal_debug_enter(uint32_t *owner, const char *verb);
PEAL_API void peal_debug_leave(uint32_t *owner);

/* With -DPEAL_DEBUG two threads inside the inline verbs of one end are caught and reported; inside
 * the others if the library was built with it (configure --enable-debug). */
#ifdef PEAL_DEBUG
#define PEAL_DEBUG_ENTER(end) peal_debug_enter(&(end)->owner, __func__)
#define PEAL_DEBUG_LEAVE(end) peal_debug_leave(&(end)->owner)
#else
#define PEAL_DEBUG_ENTER(end) ((void)0)
#define PEAL_DEBUG_LEAVE(end) ((void)0)
#endif

/* Counters have one writer, and readers in other threads: pairs with the loads in
 * peal_link_stats. */
static inline void peal_count(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by,
			 __ATOMIC_RELAXED);
}

/* Messages: both loads first, so that the pointer need not be loaded twice. */
static inline void peal_count_messages(struct peal_counters *counters, uint64_t messages,
				       uint64_t length)
{
	messages += __atomic_load_n(&counters->messages, __ATOMIC_RELAXED);
	length += __atomic_load_n(&counters->bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&counters->messages, messages, __ATOMIC_RELAXED);
	__atomic_store_n(&counters->bytes, length, __ATOMIC_RELAXED);
}

/* Bytes that a message takes in a ring, its header included. length is at most 2^63. */
static inline uint64_t peal_record_size(uint64_t length)
{
	return (length + PEAL_HEADER_SIZE + 7) & ~(uint64_t)7;
}

/*
 * Copies a payload. One of 8 to inline_copy bytes (at most 64) by two overlapping moves of a fixed
 * size, which costs less than a call. Up to 32 bytes the end goes first: what shares a cache line
 * with the header is touched last. What takes two lines goes through them in order: so each is had
 * once, which a producer feels whose consumer is far.
 */
static inline void peal_copy(void *to, const void *from, size_t length, size_t inline_copy)
{
	uint8_t *out = (uint8_t *)to;
	const uint8_t *in = (const uint8_t *)from;

	if (PEAL_UNLIKELY(length < 8 || length > inline_copy)) {
		if (length)
			memcpy(out, in, length);
	} else if (length <= 16) {
		memcpy(out + length - 8, in + length - 8, 8);
		memcpy(out, in, 8);
	} else if (length <= 32) {
		memcpy(out + length - 16, in + length - 16, 16);
		memcpy(out, in, 16);
	} else {
		memcpy(out, in, 32);
		memcpy(out + length - 32, in + length - 32, 32);
	}
}

/* Copies a payload into the own ring, or out of the peer's; long ones are the library's to copy. */
static inline void peal_put(struct peal_tx *tx, uint8_t *to, const void *from, size_t length)
{
	if (PEAL_UNLIKELY(length > tx->inline_copy) && length >= PEAL_BULK)
		peal_put_bulk(tx, to, from, length);
	else
		peal_copy(to, from, length, tx->inline_copy);
}

static inline void peal_take(struct peal_rx *rx, void *to, const void *from, size_t length)
{
	if (PEAL_UNLIKELY(length > rx->inline_copy) && length >= PEAL_BULK)
		peal_take_bulk(rx, to, from, length);
	else
		peal_copy(to, from, length, rx->inline_copy);
}

/* Whether a reservation of so many bytes has to go the slow way. */
static inline int peal_reserve_is_slow(const struct peal_tx *tx, size_t length)
{
	/* Behind each record there must be room for the zero header of the next. */
	return (length > tx->largest) | (tx->pos + peal_record_size(length) + PEAL_HEADER_SIZE >
					 tx->limit); /* [room-for-zero] */
}

/* The same for one that is sent as a copy: long ones are the library's. */
static inline int peal_send_is_slow(const struct peal_tx *tx, size_t length)
{
	return (length >= tx->plain) | (tx->pos + peal_record_size(length) + PEAL_HEADER_SIZE >
					tx->limit); /* [room-for-zero] */
}

/* Looks whether the peer sleeps, after a publication, and wakes it. word: its rx_asleep. */
static inline void peal_look(struct peal_tx *tx, const uint32_t *word)
{
	uint32_t asleep;

	/* Publish, then look: pairs with [arm] and [heavy] in lib/bell.c. The fence is only needed
	 * against a sleeper that asks for it; the others pay for both sides. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	asleep = __atomic_load_n(word, __ATOMIC_RELAXED);
	if (PEAL_UNLIKELY(asleep)) {
		if (asleep & PEAL_ASLEEP_FENCE) {
			__atomic_thread_fence(__ATOMIC_SEQ_CST);          /* [ring-fence] */
			asleep = __atomic_load_n(word, __ATOMIC_RELAXED); /* [ring-reload] */
		}
		if ((asleep & PEAL_ASLEEP) && asleep != tx->last_rung) /* [once-per-sleep] */
			peal_ring_data(tx, asleep);
	}
}

/*
 * Publishes a record, or a batch of which all but the first header is written: zeroes the header
 * behind, stores the first, counts, and wakes the peer if it sleeps.
 */
static inline void peal_show(struct peal_tx *tx, uint8_t *first, uint64_t value, uint8_t *next,
			     uint64_t messages, uint64_t bytes)
{
	uint64_t *header = (uint64_t *)(void *)first;
	uint64_t *behind = (uint64_t *)(void *)next;
	/* Before the stores, behind which a compiler would have to load tx->peer again. */
	const uint32_t *word = &tx->peer->rx_asleep;

	/* Makes the last lap's bytes behind this record harmless. Ordered by the next line. */
	__atomic_store_n(behind, 0, __ATOMIC_RELAXED); /* [zero-behind] */
	/* Pairs with [see] in peal_see. */
	__atomic_store_n(header, value, __ATOMIC_RELEASE); /* [publish] */
	peal_count_messages(tx->counters, messages, bytes);
	peal_look(tx, word);
}

/* What stands in the header of a message that one record holds. */
static inline uint64_t peal_plain_header(size_t length, uint32_t tag)
{
	return (uint64_t)tag << 32 | (length + 1);
}

/* Publishes the record at `at`, which is where pos is and whose payload is written, together with
 * what is pending before it. */
static inline void peal_publish(struct peal_tx *tx, uint64_t pos, uint8_t *at, size_t length,
				uint32_t tag)
{
	uint64_t size = peal_record_size(length);

	if (PEAL_UNLIKELY(tx->pending_header)) {
		peal_publish_batch(tx, length, tag);
		return;
	}
	tx->pos = pos + size;
	peal_show(tx, at, peal_plain_header(length, tag), at + size, 1, length);
}

/*
 * Leaves the record at `at` to a later publication. Behind it nothing is zeroed: the header that
 * comes there, or the zero behind the last record, is stored before the first header of the batch,
 * which is stored last.
 */
static inline void peal_hold(struct peal_tx *tx, uint64_t pos, uint8_t *at, size_t length,
			     uint32_t tag)
{
	uint64_t header = peal_plain_header(length, tag);

	tx->pos = pos + peal_record_size(length);
	if (PEAL_LIKELY(tx->pending_header)) {
		/* Ordered by [publish]. */
		__atomic_store_n((uint64_t *)(void *)at, header, __ATOMIC_RELAXED); /* [hold] */
	} else {
		tx->pending_at = pos;
		tx->pending_header = header;
	}
	tx->pending_messages++;
	tx->pending_bytes += length;
}

/*
 * Reserves room for a message of up to length bytes (0 to the ring's capacity - 16, and at most
 * what the peer accepts; a longer one takes peal_send) and stores where its payload goes, in the
 * ring itself. Write it there, then commit; or abort. A second reserve before that replaces the
 * first. The memory is the caller's until then.
 *
 * -EAGAIN, -ETIMEDOUT: no room in time; -EMSGSIZE: can never fit; -EBUSY: a message of
 * peal_send_part is under way; -EPIPE: the peer has closed;
 * -ECONNRESET: the peer has died; -EPROTO: the peer lied; -ESTALE: after a fork.
 * The tx's thread. Enters the kernel only to sleep, and to look after the peer's death now and
 * then while the ring is full.
 */
PEAL_INLINE int peal_reserve(struct peal_tx *tx, size_t length, void **at, int64_t timeout)
{
	int err = 0;

	PEAL_DEBUG_ENTER(tx);
	if (PEAL_UNLIKELY(peal_reserve_is_slow(tx, length)))
		err = peal_reserve_slow(tx, length, timeout);
	if (PEAL_LIKELY(!err)) {
		tx->reserved = (uint64_t)length + 1;
		*at = tx->data + (tx->pos & tx->mask) + PEAL_HEADER_SIZE;
	}
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

/*
 * Publishes the reserved message, with its final length (at most what was reserved) and a tag of
 * the user's, and wakes the peer if it sleeps. -EINVAL: nothing, or less, was reserved (the
 * reservation stays); -ESTALE: after a fork. The tx's thread. Enters the kernel only to wake.
 */
PEAL_INLINE int peal_commit(struct peal_tx *tx, size_t length, uint32_t tag)
{
	int err = 0;

	PEAL_DEBUG_ENTER(tx);
	if (PEAL_LIKELY(length < tx->reserved)) {
		uint64_t pos = tx->pos;

		tx->reserved = 0;
		peal_publish(tx, pos, tx->data + (pos & tx->mask), length, tag);
	} else {
		err = peal_commit_refuse(tx, length);
	}
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

/*
 * Like peal_commit, but leaves the message to the next publication: it goes out with the next
 * peal_commit, peal_send, peal_send_part, peal_send_batch, peal_sendv or peal_flush, all at once,
 * which is one look at the peer for all of them. Nothing waits behind what is not published: before
 * a verb of this tx waits for room, answers -EAGAIN, -ETIMEDOUT or that the peer is gone, and
 * before peal_close, it goes out too; likewise before peal_link_arm, and with PEAL_ONE_THREAD
 * before a verb of the link's rx waits. Errors and thread as peal_commit; never enters the kernel.
 */
PEAL_INLINE int peal_commit_more(struct peal_tx *tx, size_t length, uint32_t tag)
{
	int err = 0;

	PEAL_DEBUG_ENTER(tx);
	if (PEAL_LIKELY(length < tx->reserved)) {
		uint64_t pos = tx->pos;

		tx->reserved = 0;
		peal_hold(tx, pos, tx->data + (pos & tx->mask), length, tag);
	} else {
		err = peal_commit_refuse(tx, length);
	}
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

/* Publishes what peal_commit_more and peal_send_more have left pending; and that a long message was
 * given up half-way, if the peer could not be told before and there is room now. A reservation
 * stays. The tx's thread. Never waits; enters the kernel only to wake. */
PEAL_INLINE void peal_flush(struct peal_tx *tx)
{
	PEAL_DEBUG_ENTER(tx);
	if (tx->pending_header | tx->part)
		peal_flush_slow(tx);
	PEAL_DEBUG_LEAVE(tx);
}

/* Gives a reservation back; nothing of it was sent, and what is pending before it stays so. A
 * message of peal_send_part is given up: the receiver drops what it has of it, once it hears of
 * that, which is now if there is room. The tx's thread. Never waits; enters the kernel only to
 * wake, and only where a message is given up. */
PEAL_INLINE void peal_abort(struct peal_tx *tx)
{
	PEAL_DEBUG_ENTER(tx);
	tx->reserved = 0;
	if (PEAL_UNLIKELY(tx->part))
		peal_abort_part(tx);
	PEAL_DEBUG_LEAVE(tx);
}

/*
 * Sends a copy of length bytes (at most what the peer accepts). What is longer than a record (the
 * ring's capacity - 16, or less where the peer accepts no more) goes in fragments, while the peer
 * receives them; the peer gets it whole or not at all. If the timeout ends half-way, the peer drops
 * what it has once it hears of this side again. A reservation that is open is given back.
 *
 * Errors and thread as peal_reserve. -EMSGSIZE also for what is longer than a record if the timeout
 * is 0, which could never be enough: see peal_send_part. -EBUSY, while a message of that is under
 * way, also after the peer has gone: the next peal_send_part tells. Enters the kernel for what
 * peal_reserve does, and to wake.
 */
PEAL_INLINE int peal_send(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
			  int64_t timeout)
{
	int err = 0;

	PEAL_DEBUG_ENTER(tx);
	if (PEAL_UNLIKELY(peal_send_is_slow(tx, length))) {
		err = peal_send_slow(tx, data, length, tag, timeout);
	} else {
		uint64_t pos = tx->pos;
		uint8_t *at = tx->data + (pos & tx->mask);

		tx->reserved = 0;
		peal_copy(at + PEAL_HEADER_SIZE, data, length, tx->inline_copy);
		peal_publish(tx, pos, at, length, tag);
	}
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

/* What peal_send_more does; inside its guard, or that of a batch. */
static inline int peal_send_held(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
				 int64_t timeout)
{
	uint64_t pos;
	uint8_t *at;
	int err;

	if (PEAL_UNLIKELY(length > tx->largest))
		return peal_send_slow(tx, data, length, tag, timeout);
	if (PEAL_UNLIKELY(peal_reserve_is_slow(tx, length))) {
		err = peal_reserve_slow(tx, length, timeout);
		if (err)
			return err;
	}
	pos = tx->pos;
	at = tx->data + (pos & tx->mask);
	tx->reserved = 0;
	peal_put(tx, at + PEAL_HEADER_SIZE, data, length);
	peal_hold(tx, pos, at, length, tag);
	return 0;
}

/*
 * Like peal_send, but leaves the message to the next publication, as peal_commit_more does; one
 * longer than a record goes at once. Errors and thread as peal_send.
 */
PEAL_INLINE int peal_send_more(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
			       int64_t timeout)
{
	int err;

	PEAL_DEBUG_ENTER(tx);
	err = peal_send_held(tx, data, length, tag, timeout);
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

/* A message that is sent part by part. The caller sets data, length and tag, and the rest to zero.
 * The data must stay as it is until all of it is sent. */
struct peal_sending {
	const void *data; /* the message */
	size_t length;
	uint32_t tag;
	uint32_t begun; /* 1: part of it is sent */
	size_t sent;    /* so many bytes */
	uint64_t spare[4];
};

/*
 * Sends what there is room for within the timeout of a message of any length that the peer accepts:
 * how one thread sends and receives long messages at the same time, with timeouts of 0. What is
 * longer than a record goes in pieces of at most a quarter of the ring (and 256 KiB), for each of
 * which there must be room as a whole; and with a timeout of 0 about a lap of the ring (or 1 MiB)
 * at most, however much room the peer makes meanwhile.
 *
 * 0: all of it is sent; -EAGAIN, -ETIMEDOUT: not yet; call again with the same struct. Until then
 * no other message can be sent here (-EBUSY); peal_abort gives this one up. -EINVAL: it is not the
 * message that is under way. Other errors and thread as peal_send.
 */
PEAL_API int peal_send_part(struct peal_tx *tx, struct peal_sending *sending, int64_t timeout);

/*
 * Sends copies of up to count messages (data, length and tag of each), from 1 on, in one
 * publication. Waits for room for the first, and for no other. Returns how many were sent, at
 * least 1, or an error if not even the first was: -EINVAL: count is less than 1; else as peal_send.
 * An error of a later message is that of the call that begins with it. Thread as peal_send.
 */
PEAL_API int peal_send_batch(struct peal_tx *tx, const struct peal_message *messages, int count,
			     int64_t timeout);

/*
 * Sends one message gathered from count pieces (0 to 1024). -EINVAL: count is out of range or the
 * lengths add up to more than a size_t; else as peal_send.
 */
PEAL_API int peal_sendv(struct peal_tx *tx, const struct iovec *pieces, int count, uint32_t tag,
			int64_t timeout);

/* Where the next record is. */
static inline const uint8_t *peal_next(const struct peal_rx *rx, uint64_t pos)
{
	return rx->data + (pos & rx->mask);
}

/* Waits for the record at `at` and loads its header, once. 0: none; *err says why. */
static inline uint64_t peal_see(struct peal_rx *rx, const uint8_t *at, int64_t timeout, int *err)
{
	/* Pairs with [publish] in peal_show. */
	uint64_t header = __atomic_load_n((const uint64_t *)(const void *)at,
					  __ATOMIC_ACQUIRE); /* [see] */

	return PEAL_LIKELY(header) ? header : peal_peek_wait(rx, timeout, err);
}

/* The length of a record whose header has been seen. More than any ring holds if it is not a whole
 * message. */
static inline uint64_t peal_plain_length(uint64_t header)
{
	return ((uint32_t)header & ~PEAL_HEADER_LAST) - 1;
}

/* Fills in what is told of a record that is a message. */
static inline void peal_describe(struct peal_message *message, const void *data, uint64_t header)
{
	message->data = data;
	message->length = (size_t)peal_plain_length(header);
	message->tag = (uint32_t)(header >> 32);
	message->flags = (uint32_t)header & PEAL_HEADER_LAST;
}

/* Gives all records up to pos back, which is so many messages of so many bytes. */
static inline void peal_give_back(struct peal_rx *rx, uint64_t pos, uint64_t messages,
				  uint64_t bytes)
{
	rx->pos = pos;
	rx->held = 0;
	if (PEAL_UNLIKELY(pos >= rx->mark))
		peal_mark_reached(rx);
	/* Pairs with [room] in lib/ring.c, look_for_room. */
	__atomic_store_n(&rx->own->head, pos, __ATOMIC_RELEASE); /* [head] */
	peal_count_messages(rx->counters, messages, bytes);
	/* Pairs with [arm] in lib/bell.c. No fence but for the compiler: a ring that slips through
	 * is made up for by the next release, or by the producer's slice; and one who has no slices
	 * asks for a fence. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (PEAL_UNLIKELY(__atomic_load_n(&rx->peer->tx_asleep, __ATOMIC_RELAXED) &
			  (PEAL_ASLEEP | PEAL_ASLEEP_FENCE))) /* [room-look] */
		peal_ring_room(rx);
}

/* The same for what was taken at once. */
static inline void peal_give_back_batch(struct peal_rx *rx, uint64_t pos, uint64_t messages,
					uint64_t bytes)
{
	peal_count(&rx->counters->batched, messages - 1);
	peal_give_back(rx, pos, messages, bytes);
}

/* The header there if it is of a message that one record holds; else 0. below: of the rx. */
static inline uint64_t peal_see_plain(const uint8_t *at, uint64_t below)
{
	/* Pairs with [publish] in peal_show. */
	uint64_t header = __atomic_load_n((const uint64_t *)(const void *)at,
					  __ATOMIC_ACQUIRE); /* [see] */

	return header && peal_plain_length(header) < below ? header : 0;
}

/* Gives the record at pos back. */
static inline void peal_advance(struct peal_rx *rx, uint64_t pos, uint64_t length)
{
	peal_give_back(rx, pos + peal_record_size(length), 1, length);
}

/*
 * Waits for a message and shows it in place. message->data is the ring's memory: it holds until
 * peal_release, and a hostile peer can still change it, so copy before you check (or use
 * peal_recv). Without a release the next peek shows the same message.
 *
 * -EAGAIN, -ETIMEDOUT: nothing came; -EMSGSIZE: the message is longer than a record: it stays for
 * peal_recv, and message->length tells how long it is; peal_release drops it unseen. -EPIPE: the
 * peer has closed, and all that it had sent has been read; -ECONNRESET: likewise, but it died;
 * -EPROTO: the peer lied; -ESTALE: after a fork.
 * The rx's thread. Enters the kernel only to sleep, and to look after the peer's death now and
 * then while the ring is empty.
 */
PEAL_INLINE int peal_peek(struct peal_rx *rx, struct peal_message *message, int64_t timeout)
{
	const uint8_t *at = peal_next(rx, rx->pos);
	uint64_t header, length;
	int err, waited;

	PEAL_DEBUG_ENTER(rx);
	header = peal_see(rx, at, timeout, &waited);
	if (PEAL_LIKELY(header)) {
		length = peal_plain_length(header);
		if (PEAL_LIKELY(length < rx->below)) {
			peal_describe(message, at + PEAL_HEADER_SIZE, header);
			rx->held = length + 1;
			err = 0;
		} else {
			err = peal_peek_other(rx, header, message, timeout);
		}
	} else {
		err = waited < 0 ? waited : -EIO; /* for compilers: it is negative */
	}
	PEAL_DEBUG_LEAVE(rx);
	return err;
}

/*
 * Gives the message that was peeked back to the ring; its memory must not be touched any more.
 * After a verb that answered -EMSGSIZE or -ENOBUFS it drops the message that this told of: of a
 * long one what has come at once, and the rest as it comes, in the verbs that follow. Else it does
 * nothing. The rx's thread. Never waits; enters the kernel only to wake a producer that sleeps for
 * room, to give back memory that parts were kept in, and to look after the peer's death.
 */
PEAL_INLINE void peal_release(struct peal_rx *rx)
{
	PEAL_DEBUG_ENTER(rx);
	if (PEAL_LIKELY(rx->held))
		peal_advance(rx, rx->pos, rx->held - 1);
	else
		peal_release_refused(rx);
	PEAL_DEBUG_LEAVE(rx);
}

/*
 * Waits for a message and copies it out. Returns its length and, where about is not NULL, what it
 * was (about->data is the buffer). -ENOBUFS: it is longer than size; it stays, and about->length
 * and peal_error tell how long; peal_release drops it. One longer than a record is put together in
 * the buffer, which after an error holds nothing of use; when the timeout ends half-way, what has
 * come is kept and the next call goes on. Keeping it is a copy of all that has come, by which the
 * timeout may be exceeded, and takes as much memory again; so does handing out at the end what was
 * kept. -ENOMEM: there is no memory to keep it in; nothing is lost, and the next call goes on.
 * Other errors and thread as peal_peek; enters the kernel for what that and peal_release do, and
 * for memory to keep parts in.
 */
PEAL_INLINE ssize_t peal_recv(struct peal_rx *rx, void *buffer, size_t size,
			      struct peal_message *about, int64_t timeout)
{
	uint64_t pos = rx->pos, header, length;
	const uint8_t *at = peal_next(rx, pos);
	ssize_t result;
	int err;

	PEAL_DEBUG_ENTER(rx);
	header = peal_see(rx, at, timeout, &err);
	if (PEAL_LIKELY(header)) {
		length = peal_plain_length(header);
		if (PEAL_LIKELY(length <= size && length < rx->below)) {
			if (about)
				peal_describe(about, buffer, header);
			peal_take(rx, buffer, at + PEAL_HEADER_SIZE, (size_t)length);
			peal_advance(rx, pos, length);
			result = (ssize_t)length;
		} else {
			result = peal_recv_other(rx, header, buffer, size, about, timeout);
		}
	} else {
		result = err < 0 ? err : -EIO; /* for compilers: it is negative */
	}
	PEAL_DEBUG_LEAVE(rx);
	return result;
}

/*
 * Waits for a message, and copies it out with those that are there behind it: at most count, from
 * 1 on, and as long as they fit into the buffer, each at a multiple of 8 bytes from its beginning.
 * messages[i].data is where each is. Returns how many, at least 1; a message longer than a record
 * comes alone. What was copied is released at the end, all at once. -EINVAL: count is less than 1;
 * -ENOBUFS: the first is longer than size; it stays, and messages[0].length tells how long. Other
 * errors and thread as peal_recv.
 */
PEAL_API int peal_recv_batch(struct peal_rx *rx, void *buffer, size_t size,
			     struct peal_message *messages, int count, int64_t timeout);

/*
 * Waits for a message, and shows it and those that are there behind it in place, one after the
 * other: at most limit (0 or less: all that one ring holds). each() returns 0 to go on; anything
 * else, and the message that it was shown is the last. It must not use this rx; message->data holds
 * until peal_drain returns, and is as hostile as in peal_peek. What was shown is released at the
 * end, all at once. Returns how many messages were shown, at least 1. Errors and thread as
 * peal_peek. It is inline so that each() can be: a call through a pointer may cost more than the
 * rest of it.
 */
PEAL_INLINE int peal_drain(struct peal_rx *rx,
			   int (*each)(void *each_data, const struct peal_message *message),
			   void *each_data, int limit, int64_t timeout)
{
	struct peal_message message = { NULL, 0, 0, 0 };
	int err = peal_peek(rx, &message, timeout);
	const uint32_t most = limit > 0 ? (uint32_t)limit : 0x7fffffff;
	const uint64_t below = rx->below, ahead = rx->prefetch_bytes, mask = rx->mask;
	const uint8_t *const data = rx->data;
	/* An honest producer has no room for more than a lap, and no more is shown of another's. */
	uint64_t pos = rx->pos, end = pos + mask + 1;
	uint64_t header, bytes = 0;
	uint32_t left = most;

	if (PEAL_UNLIKELY(err))
		return err;
	PEAL_DEBUG_ENTER(rx);
	for (;;) {
		const uint8_t *at;

		bytes += message.length;
		pos += peal_record_size(message.length); /* as it was checked, whatever comes */
		at = data + (pos & mask);
		__builtin_prefetch(at + ahead);
		left--;
		if (each(each_data, &message) || !left)
			break;
		header = peal_see_plain(at, below);
		if (!header || peal_record_size(peal_plain_length(header)) > end - pos)
			break;
		peal_describe(&message, at + PEAL_HEADER_SIZE, header);
	}
	peal_give_back_batch(rx, pos, most - left, bytes);
	PEAL_DEBUG_LEAVE(rx);
	return (int)(most - left);
}

#ifdef __cplusplus
}
#endif

#endif
