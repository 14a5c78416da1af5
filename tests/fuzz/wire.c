/*
 * SPDX-License-Identifier: MIT
 *
 * Messages of a handshake from an input. See wire.h.
 */
#include "config.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/stats.h"
#include "tests/fuzz/wire.h"

/* What the descriptors are that a peer may send. */
enum gift {
	SEGMENT_PLAIN, /* a page, and a ring of a page */
	SEGMENT_LONGER,
	SEGMENT_PAGE, /* the page alone, */
	SEGMENT_DATA, /* and its data area */
	COUNTERS,
	UNSEALED,
	SPARSE,
	HALF_SEALED,
	EVENTFD,
	SOCKET,
	FOLDER,
	NOTHING,
	PIPE,
	GIFTS
};

/* The counters' slots. */
#define SLOTS 2u

static int gifts[GIFTS];
static uint64_t page;
static uint8_t *segment, *counters; /* of SEGMENT_PLAIN and COUNTERS, which we still write */

static uint64_t size_of(enum gift gift)
{
	switch (gift) {
	case SEGMENT_LONGER:
		return 5 * page;
	case SEGMENT_PAGE:
	case SEGMENT_DATA:
		return page;
	default:
		return 2 * page;
	}
}

/* Memory as a link's owner makes it, but for what is wrong with it. */
static int make_memory(enum gift gift)
{
	const struct peal_memory_ops *memory = runtime_memory(NULL);
	int fd = memory->create(size_of(gift), page);

	must(fd >= 0, "memory");
	if (gift == SPARSE)
		must(!ftruncate(fd, (off_t)size_of(gift)), "a hole");
	else
		must(!memory->fill(fd, size_of(gift), page), "memory");
	if (gift == SEGMENT_PLAIN)
		must(!platform_map(fd, size_of(gift), 0, true, &segment), "a mapping");
	if (gift == COUNTERS)
		must(!platform_map(fd, size_of(gift), 0, true, &counters), "a mapping");
	if (gift == HALF_SEALED)
		must(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), "a seal");
	else if (gift != UNSEALED)
		must(!memory->seal(fd, page), "seals");
	return fd;
}

void wire_prepare(void)
{
	int ends[2];

	if (page)
		return;
	page = runtime_get()->page_size;
	for (enum gift gift = SEGMENT_PLAIN; gift <= HALF_SEALED; gift++)
		gifts[gift] = make_memory(gift);
	gifts[EVENTFD] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	gifts[SOCKET] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	gifts[FOLDER] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	gifts[NOTHING] = open("/dev/null", O_RDWR | O_CLOEXEC);
	must(!pipe2(ends, O_CLOEXEC | O_NONBLOCK), "a pipe");
	gifts[PIPE] = ends[0];
	close(ends[1]);
}

static void give(struct said *said, enum gift gift, enum wire_descriptor kind)
{
	if (said->count < PLATFORM_DESCRIPTORS) {
		said->message.descriptor[said->count] = (uint8_t)kind;
		said->message.stats_size[said->count] = size_of(gift);
	}
	said->fds[said->count++] = gifts[gift];
	said->message.descriptors = (uint32_t)said->count;
}

/* What comes along if it is right. */
static void give_right(struct said *said, unsigned which)
{
	struct wire_message *message = &said->message;

	if (message->kind == WIRE_MONITOR) {
		if (message->type == WIRE_WELCOME)
			give(said, COUNTERS, WIRE_STATS);
		message->stats_objects = message->descriptors;
		return;
	}
	message->features = WIRE_FRAGMENTS | WIRE_SOCKET_BELL;
	message->page = message->data_page = message->capacity = page;
	message->max_message = 65536;
	if (which & 1) {
		give(said, SEGMENT_PAGE, WIRE_SEGMENT);
		give(said, SEGMENT_DATA, WIRE_DATA);
	} else if (which & 2) {
		message->capacity = 4 * page;
		give(said, SEGMENT_LONGER, WIRE_SEGMENT);
	} else {
		give(said, SEGMENT_PLAIN, WIRE_SEGMENT);
	}
	if (which & 4)
		give(said, EVENTFD, WIRE_EVENTFD);
	if (which & 8)
		message->features |= WIRE_CALLS | WIRE_TRUSTS_EVENTFD | WIRE_MEMBARRIER;
}

/* A field of some size somewhere becomes something else. */
static void lie(struct bytes *bytes, struct said *said)
{
	static const uint16_t fields[] = {
		offsetof(struct wire_message, magic),
		offsetof(struct wire_message, type),
		offsetof(struct wire_message, kind),
		offsetof(struct wire_message, version_low),
		offsetof(struct wire_message, version_high),
		offsetof(struct wire_message, layout_low),
		offsetof(struct wire_message, layout_high),
		offsetof(struct wire_message, abi),
		offsetof(struct wire_message, code),
		offsetof(struct wire_message, features),
		offsetof(struct wire_message, needed),
		offsetof(struct wire_message, page),
		offsetof(struct wire_message, capacity),
		offsetof(struct wire_message, max_message),
		offsetof(struct wire_message, wait),
		offsetof(struct wire_message, descriptors),
		offsetof(struct wire_message, descriptor),
		offsetof(struct wire_message, descriptor) + 1,
		offsetof(struct wire_message, descriptor) + 2,
		offsetof(struct wire_message, start),
		offsetof(struct wire_message, data_page),
		offsetof(struct wire_message, stats_first),
		offsetof(struct wire_message, stats_objects),
		offsetof(struct wire_message, stats_started),
		offsetof(struct wire_message, stats_size),
		offsetof(struct wire_message, stats_size) + 8,
	};
	unsigned which = bytes_below(bytes, 2 * sizeof(fields) / sizeof(fields[0]));
	size_t at = which < sizeof(fields) / sizeof(fields[0]) ?
			    fields[which] :
			    bytes_u16(bytes) % sizeof(said->message);
	unsigned width = 1u << bytes_below(bytes, 4);
	uint8_t value[8];

	if (bytes_below(bytes, 2))
		bytes_block(bytes, value, width);
	else /* what is near to what matters */
		memcpy(value, &(uint64_t){ UINT64_C(1) << bytes_below(bytes, 64) }, sizeof(value));
	if (at + width > sizeof(said->message))
		width = (unsigned)(sizeof(said->message) - at);
	memcpy((uint8_t *)&said->message + at, value, width);
}

void wire_take(struct bytes *bytes, enum wire_type type, enum wire_kind kind, struct said *said)
{
	unsigned how = bytes_u8(bytes), lies = bytes_below(bytes, 8);
	struct peal_options options;

	peal_options_init(&options);
	options.name = "somebody";
	*said = (struct said){ .length = sizeof(said->message) };
	wire_begin(&said->message, type, kind, &options);
	give_right(said, how & 15);
	said->vouched = (how & 48) != 16;
	said->as_other = (how & 48) == 32;
	while (lies--)
		lie(bytes, said);
	if (how & 64) {
		unsigned count = bytes_below(bytes, WIRE_COPIES + 1);

		for (said->count = 0; (unsigned)said->count < count;)
			said->fds[said->count++] = gifts[bytes_below(bytes, GIFTS)];
	}
	if (how & 128)
		said->length = bytes_u16(bytes) % (sizeof(said->message) + 1);
}

union ancillary {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * WIRE_COPIES)];
};

bool wire_say(int fd, const struct said *said)
{
	union ancillary ancillary = { .room = { 0 } };
	struct iovec piece = { .iov_base = (void *)(uintptr_t)&said->message,
			       .iov_len = said->length };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &ancillary };
	struct ucred who = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };
	struct cmsghdr *item = &ancillary.header;

	if (said->as_other)
		who.uid = who.gid = 4711;
	if (said->vouched) {
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_CREDENTIALS;
		item->cmsg_len = CMSG_LEN(sizeof(who));
		memcpy(CMSG_DATA(item), &who, sizeof(who));
		message.msg_controllen = CMSG_SPACE(sizeof(who));
	}
	if (said->count) {
		size_t size = sizeof(int) * (size_t)said->count;

		item = (struct cmsghdr *)(void *)(ancillary.room + message.msg_controllen);
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = (socklen_t)CMSG_LEN(size);
		memcpy(CMSG_DATA(item), said->fds, size);
		message.msg_controllen = (socklen_t)(message.msg_controllen + CMSG_SPACE(size));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

uint8_t *wire_segment(void)
{
	memset(segment, 0, size_of(SEGMENT_PLAIN));
	return segment;
}

void wire_count(struct bytes *bytes)
{
	struct stats_header *header;
	unsigned patches;

	header = (struct stats_header *)(void *)counters;
	memset(counters, 0, size_of(COUNTERS));
	*header = (struct stats_header){ .magic = STATS_MAGIC,
					 .layout = STATS_LAYOUT,
					 .slots = SLOTS,
					 .slot_size = sizeof(struct stats_slot),
					 .slot_start = (uint32_t)page };
	patches = bytes_below(bytes, 8);
	while (patches--) {
		uint8_t value[64];
		size_t length = bytes_below(bytes, sizeof(value) + 1);
		size_t at = bytes_u16(bytes) % (size_of(COUNTERS) - sizeof(value));

		/* Half of them in the header, or where the slots begin. */
		if (bytes_below(bytes, 2))
			at = bytes_below(bytes, 2) ? at % 32 : page + at % 160;
		bytes_block(bytes, value, length);
		memcpy(counters + at, value, length);
	}
}
