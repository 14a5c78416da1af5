/*
 * SPDX-License-Identifier: MIT
 *
 * The wire by hand. See wire.h.
 */
#include "config.h"

#include "tests/hostile/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define MAGIC UINT32_C(0x4c414550)
#define PATIENCE_MS 60000
#define COPIES 253

enum { HELLO = 1, WELCOME = 2 };
enum { IS_SEGMENT = 1, IS_DATA = 2, IS_EVENTFD = 3 };

struct hello {
	uint32_t magic;
	uint16_t type, kind, version_low, version_high, layout_low, layout_high;
	uint32_t abi, code;
	uint64_t features, needed, page, capacity, max_message;
	uint32_t wait, descriptors;
	uint8_t descriptor[8];
	uint64_t start, data_page, zero[4];
	char name[64];
	uint8_t rest[312];
};
_Static_assert(sizeof(struct hello) == 504, "wire, version 1");

union ancillary {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * COPIES)];
};

/* With our credentials, as a WELCOME must have them. */
static bool send_with(int fd, const void *data, size_t size, const int *fds, int count)
{
	union ancillary ancillary = { .room = { 0 } };
	struct iovec piece = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &ancillary };
	struct ucred self = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };
	struct cmsghdr *item = &ancillary.header;

	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_CREDENTIALS;
	item->cmsg_len = CMSG_LEN(sizeof(self));
	memcpy(CMSG_DATA(item), &self, sizeof(self));
	message.msg_controllen = CMSG_SPACE(sizeof(self));
	if (count) {
		size_t bytes = sizeof(int) * (size_t)count;

		item = (struct cmsghdr *)(void *)(ancillary.room + CMSG_SPACE(sizeof(self)));
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = (socklen_t)CMSG_LEN(bytes);
		memcpy(CMSG_DATA(item), fds, bytes);
		message.msg_controllen += (socklen_t)CMSG_SPACE(bytes);
	}
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

bool wire_datagram(int fd, const void *data, size_t size, int descriptor, int copies)
{
	int fds[COPIES];

	for (int i = 0; i < copies; i++)
		fds[i] = descriptor;
	return send_with(fd, data, size, fds, copies);
}

/* So many descriptors came; -1: no message did. */
static int receive_with(int fd, struct hello *hello, int fds[3])
{
	union ancillary ancillary;
	struct iovec piece = { .iov_base = hello, .iov_len = sizeof(*hello) };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &ancillary,
				  .msg_controllen = sizeof(ancillary) };
	struct pollfd look = { .fd = fd, .events = POLLIN };
	int count = 0;

	if (poll(&look, 1, PATIENCE_MS) != 1 ||
	    recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*hello))
		return -1;
	for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item;
	     item = CMSG_NXTHDR(&message, item)) {
		if (item->cmsg_type != SCM_RIGHTS)
			continue;
		count = (int)((item->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(item), sizeof(int) * (size_t)(count < 3 ? count : 3));
	}
	return count;
}

/* Page and data, and the data once more behind it. */
static uint8_t *map_twice(int fd, uint64_t page, uint64_t capacity, int protection)
{
	uint8_t *at = mmap(NULL, page + 2 * capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);

	if (at == MAP_FAILED)
		return NULL;
	if (mmap(at, page + capacity, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    mmap(at + page + capacity, capacity, protection, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)page) == MAP_FAILED) {
		munmap(at, page + 2 * capacity);
		return NULL;
	}
	return at;
}

/* Our segment; its descriptor. */
static int make_segment(struct wire *wire, const struct wire_wish *wish)
{
	uint64_t size = wire->page + wish->capacity;
	int fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	wire->own_capacity = wish->capacity;
	wire->pos = wire->start = wish->start;
	if (!fallocate(fd, 0, 0, (off_t)size))
		wire->own = map_twice(fd, wire->page, wish->capacity, PROT_READ | PROT_WRITE);
	if (wire->own) {
		wire_put32(wire, AT_RX_ASLEEP, MUST_FENCE);
		wire_put64(wire, AT_HEAD, wire->read);
		if (!fcntl(fd, F_ADD_SEALS,
			   F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL))
			return fd;
	}
	close(fd);
	return -1;
}

static bool introduce(struct wire *wire, const struct wire_wish *wish, uint16_t type)
{
	struct hello hello = { .magic = MAGIC,
			       .type = type,
			       .kind = 1,
			       .version_low = 1,
			       .version_high = 1,
			       .layout_low = 1,
			       .layout_high = 1,
			       .abi = 1,
			       .features = wish->features,
			       .page = wire->page,
			       .capacity = wish->capacity,
			       .max_message = wish->max_message,
			       .wait = wish->wait,
			       .descriptors = 1,
			       .descriptor = { IS_SEGMENT },
			       .start = wish->start,
			       .data_page = wire->page,
			       .name = "liar" };
	int fds[2] = { make_segment(wire, wish), -1 };
	bool said;

	if (fds[0] < 0)
		return false;
	wire->offered = wish->features;
	if (wish->eventfd)
		fds[1] = wire->own_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fds[1] >= 0)
		hello.descriptor[hello.descriptors++] = IS_EVENTFD;
	said = send_with(wire->fd, &hello, sizeof(hello), fds, (int)hello.descriptors);
	close(fds[0]);
	return said;
}

static bool meet(struct wire *wire, uint16_t type)
{
	struct hello hello;
	int fds[3] = { -1, -1, -1 }, count = receive_with(wire->fd, &hello, fds);

	if (count < 1)
		return false;
	if (hello.magic == MAGIC && hello.type == type && hello.descriptor[0] == IS_SEGMENT &&
	    hello.descriptor[1] != IS_DATA) {
		wire->their_capacity = hello.capacity;
		wire->read = hello.start;
		wire->features = hello.features;
		wire->their_max = hello.max_message;
		wire->theirs = map_twice(fds[0], wire->page, hello.capacity, PROT_READ);
	}
	close(fds[0]);
	wire->their_bell = fds[1];
	if (wire->theirs && wire->own)
		wire_put64(wire, AT_HEAD, wire->read);
	return wire->theirs != NULL;
}

static void begin(struct wire *wire, int fd)
{
	*wire = (struct wire){
		.fd = fd, .own_bell = -1, .their_bell = -1, .page = (uint64_t)sysconf(_SC_PAGESIZE)
	};
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return address;
}

int wire_listen(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	unlink(path);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
			chmod(path, 0666) || listen(fd, 4))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool wire_connect(struct wire *wire, const char *path, const struct wire_wish *wish)
{
	struct sockaddr_un address = address_of(path);

	begin(wire, socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	return wire->fd >= 0 && !connect(wire->fd, (struct sockaddr *)&address, sizeof(address)) &&
	       introduce(wire, wish, HELLO) && meet(wire, WELCOME);
}

bool wire_accept(struct wire *wire, int listening, const struct wire_wish *wish)
{
	struct pollfd look = { .fd = listening, .events = POLLIN };

	begin(wire, -1);
	if (poll(&look, 1, PATIENCE_MS) != 1)
		return false;
	wire->fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	return wire->fd >= 0 && meet(wire, HELLO) && introduce(wire, wish, WELCOME);
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

void wire_drop(struct wire *wire)
{
	if (wire->own)
		munmap(wire->own, wire->page + 2 * wire->own_capacity);
	if (wire->theirs)
		munmap(wire->theirs, wire->page + 2 * wire->their_capacity);
	close_if(wire->fd);
	close_if(wire->own_bell);
	close_if(wire->their_bell);
	begin(wire, -1);
}

static uint32_t *word(uint8_t *page, enum wire_word at)
{
	return (uint32_t *)(void *)(page + at);
}

static uint64_t *long_word(uint8_t *page, enum wire_word at)
{
	return (uint64_t *)(void *)(page + at);
}

/* All words are atomic: the peer looks at them, and perhaps another thread of ours writes them. */
static uint32_t their_word(const struct wire *wire, enum wire_word at)
{
	return __atomic_load_n(word(wire->theirs, at), __ATOMIC_ACQUIRE);
}

static uint64_t their_long(const struct wire *wire, enum wire_word at)
{
	return __atomic_load_n(long_word(wire->theirs, at), __ATOMIC_ACQUIRE);
}

bool wire_is_over(const struct wire *wire)
{
	struct pollfd look = { .fd = wire->fd, .events = POLLRDHUP };

	if (!wire->theirs || wire->fd < 0 || their_long(wire, AT_CLOSED))
		return true;
	return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void wire_put32(struct wire *wire, enum wire_word at, uint32_t value)
{
	__atomic_store_n(word(wire->own, at), value, __ATOMIC_RELEASE);
}

void wire_put64(struct wire *wire, enum wire_word at, uint64_t value)
{
	__atomic_store_n(long_word(wire->own, at), value, __ATOMIC_RELEASE);
}

static uint8_t *own_data(const struct wire *wire, uint64_t pos)
{
	return wire->own + wire->page + (pos & (wire->own_capacity - 1));
}

static void put_header(struct wire *wire, uint64_t pos, uint64_t header)
{
	__atomic_store_n((uint64_t *)(void *)own_data(wire, pos), header, __ATOMIC_RELEASE);
}

void wire_show(struct wire *wire, uint64_t header)
{
	put_header(wire, wire->pos, header);
}

uint8_t *wire_payload(const struct wire *wire)
{
	return own_data(wire, wire->pos) + 8;
}

static uint64_t record_size(uint64_t length)
{
	return (length + 8 + 7) & ~UINT64_C(7);
}

bool wire_has_room(const struct wire *wire, uint64_t length)
{
	uint64_t head = their_long(wire, AT_HEAD);

	/* Before the peer has set it up it is 0. */
	head = head > wire->start ? head : wire->start;
	return wire->pos + record_size(length) + 8 <= head + wire->own_capacity;
}

bool wire_say(struct wire *wire, uint32_t flags, uint32_t tag, const void *data, uint64_t length)
{
	if (!wire_has_room(wire, length))
		return false;
	if (length)
		memcpy(wire_payload(wire), data, length);
	put_header(wire, wire->pos + record_size(length), 0);
	put_header(wire, wire->pos, (uint64_t)tag << 32 | flags | (length + 1));
	wire->pos += record_size(length);
	wire_ring_data(wire);
	return true;
}

static void ring(struct wire *wire, uint32_t asleep, enum wire_word wake)
{
	uint32_t *at = word(wire->own, wake);

	__atomic_store_n(at + 1, asleep, __ATOMIC_RELAXED); /* acknowledged */
	__atomic_fetch_add(at, 1, __ATOMIC_RELEASE);
	if (!(asleep & BY_DESCRIPTOR))
		syscall(SYS_futex, at, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	else
		wire_ring_anyway(wire);
}

void wire_ring_anyway(struct wire *wire)
{
	const uint64_t one = 1;

	if (wire->their_bell >= 0) {
		if (write(wire->their_bell, &one, sizeof(one)) < 0)
			return;
	} else if (wire->fd >= 0) {
		send(wire->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

void wire_ring_data(struct wire *wire)
{
	uint32_t asleep;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	asleep = their_word(wire, AT_RX_ASLEEP);
	if ((asleep & ASLEEP) && asleep != wire->rung_for) {
		wire->rung_for = asleep;
		ring(wire, asleep, AT_DATA_WAKE);
	}
}

void wire_ring_room(struct wire *wire)
{
	uint32_t asleep;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	asleep = their_word(wire, AT_TX_ASLEEP);
	if ((asleep & ASLEEP) && asleep != wire->room_rung_for &&
	    wire->read >= their_long(wire, AT_TX_WANTS)) {
		wire->room_rung_for = asleep;
		ring(wire, asleep, AT_ROOM_WAKE);
	}
}

struct wire_record wire_hear(const struct wire *wire)
{
	uint8_t *at = wire->theirs + wire->page + (wire->read & (wire->their_capacity - 1));
	uint64_t header = __atomic_load_n((uint64_t *)(void *)at, __ATOMIC_ACQUIRE);

	return (struct wire_record){ .flags = (uint32_t)header & ~LENGTH,
				     .tag = (uint32_t)(header >> 32),
				     .length = (int64_t)(header & LENGTH) - 1,
				     .data = at + 8 };
}

void wire_consume(struct wire *wire, const struct wire_record *record)
{
	wire->read += record_size((uint64_t)record->length);
	wire_put64(wire, AT_HEAD, wire->read);
	wire_ring_room(wire);
}
