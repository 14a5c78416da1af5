/*
 * SPDX-License-Identifier: MIT
 *
 * Segments: made and sealed by their owner, proved and mapped read-only by the peer. It knows
 * nothing of how the words on the page are used.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/segment.h"

#define AT(field, offset) \
	_Static_assert(offsetof(struct peal_page, field) == (offset), "shared layout, version 1")
AT(magic, 0x000);
AT(layout, 0x004);
AT(spare0, 0x008);
AT(head, 0x080);
AT(spare1, 0x088);
AT(rx_asleep, 0x100);
AT(rx_bulk, 0x104);
AT(spare2, 0x108);
AT(room_wake, 0x180);
AT(room_acknowledged, 0x184);
AT(room_rung_ns, 0x188);
AT(spare3, 0x190);
AT(tx_asleep, 0x200);
AT(spare4, 0x204);
AT(tx_wants, 0x208);
AT(tx_bulk, 0x210);
AT(spare5, 0x218);
AT(data_wake, 0x280);
AT(data_acknowledged, 0x284);
AT(data_rung_ns, 0x288);
AT(spare6, 0x290);
AT(closed, 0x300);
AT(spare7, 0x308);
AT(spare8, 0x380);
_Static_assert(sizeof(struct peal_page) == 0x400, "shared layout, version 1");
_Static_assert(SEGMENT_MAGIC == 0x4c414550, "shared layout, version 1");
_Static_assert(SEGMENT_LAYOUT == 1, "shared layout, version 1");
_Static_assert(CAPACITY_MAX == 1073741824, "shared layout, version 1");
_Static_assert(RECORD_MAX == 268435440, "shared layout, version 1");
_Static_assert(RECORD_OVERHEAD == 16, "shared layout, version 1");
_Static_assert(PEAL_LINE == 128, "shared layout, version 1");
_Static_assert(PEAL_HEADER_LENGTH >= RECORD_MAX + 1, "lengths fit the header");

#define MEMORY(field, offset)                                                \
	_Static_assert(offsetof(struct peal_ring_memory, field) == (offset), \
		       "binary interface, version 1")
MEMORY(bytes, 0);
MEMORY(page, 8);
MEMORY(wanted_page, 16);
MEMORY(transparent, 24);
MEMORY(has, 32);
MEMORY(wanted, 36);
MEMORY(node, 40);
MEMORY(wanted_node, 44);
MEMORY(why, 48);
_Static_assert(sizeof(struct peal_ring_memory) == 304, "binary interface, version 1");
_Static_assert(PEAL_MEMORY_TWICE == 1, "binary interface, version 1");
_Static_assert(PEAL_MEMORY_HUGETLB == 2, "binary interface, version 1");
_Static_assert(PEAL_MEMORY_TRANSPARENT == 4, "binary interface, version 1");
_Static_assert(PEAL_MEMORY_PREFAULTED == 8, "binary interface, version 1");
_Static_assert(PEAL_MEMORY_LOCKED == 16, "binary interface, version 1");

/* As huge_left: it was not for want of huge pages. */
#define NOT_THE_POOL INT64_MAX

static bool is_hugetlb(const struct segment *segment)
{
	return segment->unit != segment->page;
}

/* Bytes of one mapping of each part. */
static uint64_t size_of(const struct segment *segment)
{
	return segment->page + segment->capacity;
}

/* The pool has not given what was asked of it: in words, as much as can be found out. */
static void explain_no_huge(const struct segment *segment, char *why, size_t size)
{
	unsigned long long need = segment->capacity / segment->no_huge;
	unsigned long long kib = segment->no_huge >> 10;
	int err = -segment->huge_err;

	if (segment->huge_err == -ERANGE)
		snprintf(why, size, "a ring of %llu bytes is less than a page of %llu KiB",
			 (unsigned long long)segment->capacity, kib);
	else if (segment->huge_left == NOT_THE_POOL)
		snprintf(
			why, size,
			"a ring of pages of %llu KiB could not be made (errno %d), and not for want "
			"of them: PEAL_HUGE_REQUIRE says why",
			kib, err);
	else if (segment->huge_left < 0 && segment->huge_err == -ENOSPC)
		snprintf(why, size,
			 "%llu pages of %llu KiB were not to be had (errno %d): raise nr_hugepages "
			 "(how many are left is not told here), or the limit of the hugetlb cgroup",
			 need, kib, err);
	else if (segment->huge_left < 0)
		snprintf(why, size,
			 "no pool of pages of %llu KiB is here (errno %d): pass another "
			 "options.huge_size",
			 kib, err);
	else if ((uint64_t)segment->huge_left < need)
		snprintf(why, size,
			 "the pool had %lld pages of %llu KiB left, and the ring needs %llu (errno "
			 "%d): raise " PLATFORM_HUGE_POOL "nr_hugepages",
			 (long long)segment->huge_left, kib, need, err, kib);
	else
		snprintf(
			why, size,
			"%llu pages of %llu KiB were not to be had (errno %d), though the pool has "
			"%lld: raise the limit of the hugetlb cgroup",
			need, kib, err, (long long)segment->huge_left);
}

static void close_descriptors(struct segment *segment)
{
	platform_close(segment->fd);
	platform_close(segment->data_fd);
	segment->fd = segment->data_fd = -1;
}

/* Gives back what it has so far. */
static void undo(struct segment *segment)
{
	close_descriptors(segment);
	segment_destroy(segment);
}

static int say_no_huge(struct segment *segment, int err)
{
	char why[256];

	undo(segment); /* so that what the pool has left now is what it had before */
	segment->no_huge = segment->unit;
	segment->huge_err = err;
	segment->huge_left = platform_huge_left(segment->unit);
	explain_no_huge(segment, why, sizeof(why));
	return error_set(-ENOMEM, "no huge pages, which are required: %s, or pass PEAL_HUGE_TRY",
			 why);
}

static int say_no_memory(const struct segment *segment, int err)
{
	return error_set(
		err, "no shared memory of %llu bytes (errno %d): %s",
		(unsigned long long)size_of(segment), -err,
		error_mend(err,
			   err == -EFBIG ?
				   "raise the limit of file size (fsize), or pass a smaller ring" :
				   "raise the limit of memory or of descriptors, or pass a "
				   "smaller ring"));
}

static int say_not_mapped(const char *whose, uint64_t bytes, int err)
{
	return error_set(err, "%s%llu bytes cannot be mapped (mmap or madvise, errno %d): %s",
			 whose, (unsigned long long)bytes, -err,
			 error_mend(err, "raise vm.max_map_count or the limit of address space"));
}

/* An object that is filled before it is mapped has its pages there at once; but the node that they
 * are to come from is told of a mapping, and what huge ones there are is tried out in one. */
static bool is_filled_first(const struct segment *segment, bool apart)
{
	return !apart && !segment->node;
}

static int fill_first(const struct segment *segment)
{
	int err = runtime_memory(NULL)->fill(segment->fd, size_of(segment), segment->page);

	return err ? say_no_memory(segment, err) : 0;
}

/* Makes the objects, with nothing in them yet unless that is to come first, and maps them. */
static int make_objects(struct segment *segment, bool apart)
{
	const struct peal_memory_ops *memory = runtime_memory(NULL);
	uint64_t page = segment->page, capacity = segment->capacity, align = platform_huge_size();
	int err;

	segment->fd = memory->create(apart ? page : page + capacity, page);
	if (segment->fd < 0)
		return say_no_memory(segment, segment->fd);
	if (apart) {
		segment->data_fd = memory->create(capacity, segment->unit);
		err = segment->data_fd;
		if (err < 0)
			return is_hugetlb(segment) && err != -EMFILE && err != -ENFILE &&
					       err != -EFBIG ?
				       say_no_huge(segment, err) :
				       say_no_memory(segment, err);
		align = segment->unit > align ? segment->unit : align;
		err = platform_map_apart(segment->fd, segment->data_fd, page, capacity, align, true,
					 &segment->at);
	} else {
		err = is_filled_first(segment, apart) ? fill_first(segment) : 0;
		if (err)
			return err;
		err = platform_map(segment->fd, page, capacity, true, &segment->at);
	}
	return err ? say_not_mapped("", size_of(segment) + segment->capacity, err) : 0;
}

/* Allocates all that its objects are to hold. */
static int fill_objects(struct segment *segment)
{
	const struct peal_memory_ops *memory = runtime_memory(NULL);
	bool apart = segment->data_fd >= 0;
	int err;

	if (is_filled_first(segment, apart))
		return 0;
	if (segment->node)
		segment->node_err = platform_prefer_node(segment->at, size_of(segment),
							 segment->node - 1);
	if (apart && !is_hugetlb(segment)) {
		/* It takes a page fault to get one. What goes wrong here is found right after. */
		platform_want_transparent(segment_data(segment), 2 * segment->capacity);
		platform_populate(segment_data(segment), segment->capacity, true);
	}
	err = memory->fill(segment->fd, apart ? segment->page : size_of(segment), segment->page);
	if (err || !apart)
		return err ? say_no_memory(segment, err) : 0;
	err = memory->fill(segment->data_fd, segment->capacity, segment->unit);
	if (err && is_hugetlb(segment))
		return say_no_huge(segment, err);
	return err ? say_no_memory(segment, err) : 0;
}

static int seal_objects(const struct segment *segment)
{
	const struct peal_memory_ops *memory = runtime_memory(NULL);
	int err = memory->seal(segment->fd, segment->page);

	if (!err && segment->data_fd >= 0)
		err = memory->seal(segment->data_fd, segment->unit);
	if (!err)
		return 0;
	return error_set(
		err,
		"shared memory of %llu bytes cannot be sealed (errno %d): allow F_ADD_SEALS where a "
		"filter forbids it%s",
		(unsigned long long)size_of(segment), -err,
		is_hugetlb(segment) ? ", and pass PEAL_HUGE_OFF before Linux 5.13" : "");
}

/* All of both parts, in both mappings of the data area. */
static void prefault(struct segment *segment, bool writable)
{
	uint64_t size = size_of(segment) + segment->capacity;

	if (platform_populate(segment->at, size, writable)) {
		/* Before Linux 5.14: read each page. */
		for (uint64_t i = 0; i < size; i += segment->page)
			__atomic_load_n(&segment->at[i], __ATOMIC_RELAXED);
	}
	segment->has |= PEAL_MEMORY_PREFAULTED;
}

/* One of the two mappings of the data area will do. The pool's pages are never swapped out. */
static int lock(struct segment *segment)
{
	uint64_t size = is_hugetlb(segment) ? segment->page : size_of(segment);
	int has, err = platform_lock_memory(segment->at, size);
	uint64_t limit = platform_lock_limit();
	const char *capability;

	if (!err) {
		segment->has |= PEAL_MEMORY_LOCKED;
		return 0;
	}
	has = platform_lock_capability(&capability);
	/* mlock itself says EPERM only where the limit is 0. */
	if (err == -ENOSYS || (err == -EPERM && (limit || has > 0)))
		return error_set(
			-ENOMEM,
			"%llu bytes cannot be locked (mlock, errno %d): %s, or clear PEAL_LOCK",
			(unsigned long long)size, -err, error_mend(err, ""));
	if (has > 0 || limit == UINT64_MAX)
		return error_set(
			-ENOMEM,
			"%llu bytes cannot be locked (errno %d), though no limit stands against "
			"it: free memory, or clear PEAL_LOCK",
			(unsigned long long)size, -err);
	return error_set(
		-ENOMEM,
		"%llu more bytes cannot be locked (errno %d), the limit of locked memory being "
		"%llu: raise it (ulimit -l), give the process %s, which %s, or clear PEAL_LOCK",
		(unsigned long long)size, -err, (unsigned long long)limit, capability,
		has ? "lifts it" : "lifts it and is lacking");
}

/* Of both sides' segments, whoever made them. */
static uint32_t wishes(uint32_t flags)
{
	return PEAL_MEMORY_TWICE | (flags & PEAL_PREFAULT ? PEAL_MEMORY_PREFAULTED : 0) |
	       (flags & PEAL_LOCK ? PEAL_MEMORY_LOCKED : 0);
}

static int grant(struct segment *segment, uint32_t flags, bool writable)
{
	if (flags & PEAL_PREFAULT)
		prefault(segment, writable);
	return flags & PEAL_LOCK ? lock(segment) : 0;
}

static int make(struct segment *segment, const struct peal_options *options, uint64_t unit,
		uint32_t asleep)
{
	bool transparent = false;
	struct peal_page *page;
	const char *why;
	int err;

	segment->unit = unit;
	segment->fd = segment->data_fd = -1;
	segment->has = PEAL_MEMORY_TWICE;
	segment->wanted = wishes(options->flags);
	if (is_hugetlb(segment)) {
		segment->wanted |= PEAL_MEMORY_HUGETLB;
		segment->has |= PEAL_MEMORY_HUGETLB;
	} else if (options->huge != PEAL_HUGE_OFF && segment->capacity >= platform_huge_size()) {
		segment->wanted |= PEAL_MEMORY_TRANSPARENT;
		transparent = platform_transparent(&why);
	}
	err = make_objects(segment, transparent || is_hugetlb(segment));
	if (!err)
		err = fill_objects(segment);
	if (!err) {
		page = segment_page(segment);
		page->magic = SEGMENT_MAGIC;
		page->layout = SEGMENT_LAYOUT;
		page->rx_asleep = asleep; /* [must-fence] */
		err = seal_objects(segment);
	}
	if (!err)
		err = grant(segment, options->flags, true);
	if (err)
		undo(segment);
	return err;
}

int segment_create(struct segment *segment, const struct peal_options *options, uint32_t asleep)
{
	uint64_t unit = options->huge_size;
	const char *why;
	int err;

	*segment = (struct segment){ .page = runtime_get()->page_size,
				     .capacity = options->ring,
				     .node = options->node };
	if (!runtime_memory(&why))
		return error_set(-ENOSYS, "no memory that can be shared safely: %s", why);
	if (options->huge == PEAL_HUGE_TRY || options->huge == PEAL_HUGE_REQUIRE) {
		/* One that must have them is at least as long: options_take. */
		err = segment->capacity < unit ? -ERANGE : make(segment, options, unit, asleep);
		if (!err || options->huge == PEAL_HUGE_REQUIRE)
			return err;
		if (!segment->no_huge) {
			segment->no_huge = unit;
			segment->huge_err = err;
			segment->huge_left = NOT_THE_POOL;
		}
		log_line(LOG_INFO, "a ring of %llu bytes has no huge pages of the pool (errno %d)",
			 (unsigned long long)segment->capacity, -err);
	}
	return make(segment, options, segment->page, asleep);
}

void segment_close_descriptors(struct segment *segment)
{
	if (segment->at)
		close_descriptors(segment);
}

/* 0, or what prove() says. */
static int prove(const struct segment_offer *offer)
{
	const struct peal_memory_ops *memory = runtime_memory(NULL);
	bool apart = offer->data_fd >= 0;
	int err = memory->prove(offer->fd, offer->page + (apart ? 0 : offer->capacity),
				offer->page);

	return err || !apart ? err : memory->prove(offer->data_fd, offer->capacity, offer->unit);
}

static int say_not_proved(const struct segment_offer *offer, int err)
{
	if (err == -EOPNOTSUPP)
		return error_set(
			-EPROTO,
			"the peer's huge pages cannot be proved to be there: have a filter (seccomp) "
			"allow futex here, or pass PEAL_HUGE_OFF there");
	return error_set(
		-EPROTO,
		"the peer's memory is not what it must be, %llu sealed bytes: %s; update the peer",
		(unsigned long long)(offer->page + offer->capacity),
		err == -EPERM       ? "it is not sealed" :
		err == -ERANGE      ? "it has another size than was said" :
		err == -EMEDIUMTYPE ? "it has other pages than was said" :
		err == -EFAULT      ? "it is sparse" :
		err == -EACCES      ? "it may not be read (its descriptor is for writing alone)" :
				      "it cannot be looked at (fstat, fstatfs)");
}

/*
 * What cannot be touched now would be a signal later. One huge page at a time: at the first hole,
 * which is filled from our pool, it is over.
 */
static int prove_pages(const struct segment *segment, const struct segment_offer *offer)
{
	int err = 0;

	for (uint64_t at = 0; at < offer->capacity && !err; at += offer->unit) {
		err = platform_touch(segment_data(segment) + at);
		if (err)
			return err == -EPERM || err == -EACCES || err == -ENOSYS ? -EOPNOTSUPP :
										   -EFAULT;
		err = runtime_memory(NULL)->prove(offer->data_fd, offer->capacity, offer->unit);
	}
	return err;
}

int segment_adopt(struct segment *segment, const struct segment_offer *offer, uint32_t flags)
{
	uint64_t page = offer->page, capacity = offer->capacity, align = platform_huge_size();
	const char *why;
	int err;

	*segment = (struct segment){ .page = page,
				     .capacity = capacity,
				     .unit = offer->unit,
				     .fd = -1,
				     .data_fd = -1,
				     .wanted = wishes(flags),
				     .has = PEAL_MEMORY_TWICE };
	if (!runtime_memory(&why))
		return error_set(-ENOSYS, "no memory that can be shared safely: %s", why);
	err = prove(offer);
	if (err)
		return say_not_proved(offer, err);
	align = offer->unit > align ? offer->unit : align;
	err = offer->data_fd >= 0 ? platform_map_apart(offer->fd, offer->data_fd, page, capacity,
						       align, false, &segment->at) :
				    platform_map(offer->fd, page, capacity, false, &segment->at);
	if (err == -EACCES)
		return say_not_proved(offer, err);
	if (err)
		return say_not_mapped("the peer's ", page + 2 * capacity, err);
	if (is_hugetlb(segment)) {
		err = prove_pages(segment, offer);
		if (err) {
			segment_destroy(segment);
			return say_not_proved(offer, err);
		}
		segment->wanted |= PEAL_MEMORY_HUGETLB;
		segment->has |= PEAL_MEMORY_HUGETLB;
	}
	err = grant(segment, flags, false);
	if (err)
		segment_destroy(segment);
	return err;
}

void segment_destroy(struct segment *segment)
{
	if (segment->at)
		platform_unmap(segment->at, segment->page, segment->capacity);
	segment->at = NULL;
}

void segment_destroy_two(struct segment *a, struct segment *b)
{
	struct segment *low = a->at < b->at ? a : b, *high = low == a ? b : a;
	uint64_t below = size_of(low) + low->capacity;

	/* Side by side they are mostly, and then one call does. */
	if (low->at && low->at + below == high->at) {
		platform_take_down(low->at, below + size_of(high) + high->capacity);
		low->at = high->at = NULL;
	}
	segment_destroy(a);
	segment_destroy(b);
}

/* The node of the data area's pages, where they are all on one; else -1. Looks at a few. */
static int32_t find_node(const struct segment *segment)
{
	uint64_t step = segment->capacity / 8;
	int node = platform_node(segment_data(segment));

	step = step < segment->unit ? segment->unit : step;
	for (uint64_t at = step; at < segment->capacity && node >= 0; at += step)
		if (platform_node(segment_data(segment) + at) != node)
			node = -1;
	return node < 0 ? -1 : node;
}

/* Why it is not on the node that was wanted; behind what stands there. */
static void explain_node(const struct segment *segment, int32_t node, char *why, size_t size)
{
	size_t used = strlen(why);
	const char *and = used ? "; " : "";

	if (segment->node_err)
		snprintf(why + used, size - used, "%snode %u is not to be had (errno %d)", and,
			 segment->node - 1, -segment->node_err);
	else if (node < 0)
		snprintf(why + used, size - used, "%snot all of it is known to be on node %u", and,
			 segment->node - 1);
	else
		snprintf(why + used, size - used, "%snode %u had no memory left", and,
			 segment->node - 1);
}

void segment_tell(const struct segment *segment, struct peal_ring_memory *memory)
{
	const char *why, *none = "there was no free huge page when the ring was made";
	/* A shorter one has none, and need not be looked for. */
	int64_t transparent = is_hugetlb(segment) || segment->capacity < platform_huge_size() ?
				      0 :
				      platform_transparent_bytes(segment_data(segment));

	*memory = (struct peal_ring_memory){ .bytes = segment->capacity,
					     .page = segment->unit,
					     .wanted_page = segment->unit,
					     .has = segment->has,
					     .wanted = segment->wanted,
					     .node = find_node(segment),
					     .wanted_node = (int32_t)segment->node - 1 };
	if (transparent > 0) {
		memory->transparent = (uint64_t)transparent;
		memory->has |= PEAL_MEMORY_TRANSPARENT;
		if (memory->transparent >= memory->bytes)
			memory->page = platform_huge_size();
	}
	if (segment->wanted & PEAL_MEMORY_TRANSPARENT)
		memory->wanted_page = platform_huge_size();
	if (segment->no_huge) {
		memory->wanted_page = segment->no_huge;
		memory->wanted |= PEAL_MEMORY_HUGETLB;
		memory->wanted &= ~(uint32_t)PEAL_MEMORY_TRANSPARENT;
		explain_no_huge(segment, memory->why, sizeof(memory->why));
	} else if (memory->page < memory->wanted_page) {
		if (transparent < 0)
			none = "what pages it has cannot be told without /proc/self/smaps";
		if (!platform_transparent(&why))
			none = why;
		snprintf(memory->why, sizeof(memory->why), "%s", none);
	}
	if (segment->node && memory->node != memory->wanted_node)
		explain_node(segment, memory->node, memory->why, sizeof(memory->why));
}
