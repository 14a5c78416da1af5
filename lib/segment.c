/*
 * SPDX-License-Identifier: MIT
 *
 * Segments: made and sealed by their owner, proved and mapped read-only by the peer. It knows
 * nothing of how the words on the page are used.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>

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
AT(spare2, 0x104);
AT(room_wake, 0x180);
AT(room_acknowledged, 0x184);
AT(room_rung_ns, 0x188);
AT(spare3, 0x190);
AT(tx_asleep, 0x200);
AT(spare4, 0x204);
AT(tx_wants, 0x208);
AT(spare5, 0x210);
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
_Static_assert(CAPACITY_MAX == 268435456, "shared layout, version 1");
_Static_assert(RECORD_OVERHEAD == 16, "shared layout, version 1");
_Static_assert(PEAL_LINE == 128, "shared layout, version 1");
_Static_assert(PEAL_HEADER_LENGTH >= CAPACITY_MAX - RECORD_OVERHEAD + 1, "lengths fit the header");

static const char more_mappings[] = "raise vm.max_map_count or the limit of address space";

int segment_create(struct segment *segment, uint64_t capacity, bool prefault, uint32_t asleep,
		   int *fd)
{
	const struct runtime *runtime = runtime_get();
	uint64_t size = runtime->page_size + capacity;
	struct peal_page *page;
	int err;

	*segment = (struct segment){ .page = runtime->page_size, .capacity = capacity };
	if (!runtime->memory)
		return error_set(-ENOSYS, "no memory that can be shared safely: %s",
				 runtime->memory_why);
	*fd = runtime->memory->create(size);
	if (*fd < 0)
		return error_set(
			*fd,
			"no shared memory of %llu bytes (errno %d): raise the limit of %s, or pass "
			"a smaller ring",
			(unsigned long long)size, -*fd,
			*fd == -EFBIG ? "file size (fsize)" : "memory or of descriptors");
	err = platform_map(*fd, segment->page, capacity, true, prefault, &segment->at);
	if (err) {
		err = error_set(err, "%llu bytes cannot be mapped (mmap or madvise, errno %d): %s",
				(unsigned long long)(size + capacity), -err,
				error_mend(err, more_mappings));
		goto fail;
	}
	page = segment_page(segment);
	page->magic = SEGMENT_MAGIC;
	page->layout = SEGMENT_LAYOUT;
	page->rx_asleep = asleep; /* [must-fence] */
	err = runtime->memory->seal(*fd);
	if (err) {
		err = error_set(
			err,
			"shared memory of %llu bytes cannot be sealed (errno %d): allow F_ADD_SEALS where a filter forbids it",
			(unsigned long long)size, -err);
		goto fail;
	}
	return 0;
fail:
	segment_destroy(segment);
	platform_close(*fd);
	*fd = -1;
	return err;
}

int segment_adopt(struct segment *segment, int fd, uint64_t page, uint64_t capacity, bool prefault)
{
	const struct runtime *runtime = runtime_get();
	int err;

	*segment = (struct segment){ .page = page, .capacity = capacity };
	if (!runtime->memory)
		return error_set(-ENOSYS, "no memory that can be shared safely: %s",
				 runtime->memory_why);
	err = runtime->memory->prove(fd, page + capacity);
	if (err)
		return error_set(
			-EPROTO,
			"the peer's memory is not what it must be, %llu sealed bytes: %s; update the peer",
			(unsigned long long)(page + capacity),
			err == -EPERM  ? "it is not sealed" :
			err == -ERANGE ? "it has another size than was said" :
			err == -EFAULT ? "it is sparse" :
					 "it cannot be looked at");
	err = platform_map(fd, page, capacity, false, prefault, &segment->at);
	if (err)
		return error_set(
			err,
			"the peer's %llu bytes cannot be mapped (mmap or madvise, errno %d): %s",
			(unsigned long long)(page + 2 * capacity), -err,
			error_mend(err, more_mappings));
	return 0;
}

void segment_destroy(struct segment *segment)
{
	if (segment->at)
		platform_unmap(segment->at, segment->page, segment->capacity);
	segment->at = NULL;
}
