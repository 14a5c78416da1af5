/*
 * SPDX-License-Identifier: MIT
 *
 * Memory: sealed memfds, mapped twice. See memory.h; the design is that of Peal's segments, in as
 * few lines as it takes among friends.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complaint.h"
#include "meeting.h"
#include "memory.h"
#include "transport.h"

enum { PAGE, DATA, OBJECTS, BELL = OBJECTS, OBJECTS_AND_BELL };

#define LINE 128 /* ends of two threads share none */

static void unmap(const uint8_t *at, size_t size)
{
	/* munmap takes no const, and frees what we may only read. */
	if (at)
		munmap((void *)(uintptr_t)at, size * 2);
}

/* Maps an object twice, back to back, and every page of it now. */
static int map(int fd, size_t size, int protection, uint8_t **at)
{
	uint8_t *base = mmap(NULL, size * 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return complain_errno("reserving %zu bytes of addresses", size * 2);
	for (int i = 0; i < 2; i++) {
		if (mmap(base + (size_t)i * size, size, protection,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED) {
			int err = complain_errno("mapping %zu bytes", size);

			unmap(base, size);
			return err;
		}
	}
	*at = base;
	return 0;
}

/* Makes an object that from now on only this mapping can write; returns its descriptor. */
static int make(size_t size, uint8_t **at)
{
	int fd = memfd_create("peal-perf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return complain_errno("memfd_create");
	if (fallocate(fd, 0, 0, (off_t)size)) {
		err = complain_errno("allocating %zu bytes", size);
		goto close_object;
	}
	err = map(fd, size, PROT_READ | PROT_WRITE, at);
	if (err)
		goto close_object;
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)) {
		err = complain_errno("sealing memory");
		goto close_object; /* memory_close unmaps */
	}
	return fd;

close_object:
	close(fd);
	return err;
}

static struct memory *prepare(const struct memory_kind *kind, const struct setup *setup)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (kind->end_size + LINE - 1) / LINE * LINE;
	struct memory *memory = aligned_alloc(LINE, size);

	if (!memory) {
		complain(-ENOMEM, "no memory for an end of %zu bytes", size);
		return NULL;
	}
	memset(memory, 0, size);
	memory->socket = memory->bell = memory->peer_bell = -1;
	memory->page_size = page;
	memory->data_size = (kind->data_size(setup) + page - 1) & ~(page - 1);
	if (!memory->data_size)
		memory->data_size = page;
	if (!kind->bells)
		return memory;
	memory->bell = eventfd(0, EFD_CLOEXEC);
	if (memory->bell < 0) {
		complain_errno("making an eventfd");
		free(memory);
		return NULL;
	}
	return memory;
}

/* How many each side hands over. */
static unsigned descriptors(const struct memory *memory)
{
	return memory->bell < 0 ? OBJECTS : OBJECTS_AND_BELL;
}

static int offer(struct memory *memory, int socket)
{
	int fds[OBJECTS_AND_BELL], err;

	fds[PAGE] = make(memory->page_size, &memory->page);
	if (fds[PAGE] < 0)
		return fds[PAGE];
	fds[DATA] = make(memory->data_size, &memory->data);
	if (fds[DATA] < 0) {
		err = fds[DATA];
		goto close_page;
	}
	fds[BELL] = memory->bell;
	err = meeting_give(socket, fds, descriptors(memory));
	close(fds[DATA]);
close_page:
	close(fds[PAGE]);
	return err;
}

static int take(struct memory *memory, int socket)
{
	uint8_t *page = NULL, *data = NULL;
	int fds[OBJECTS_AND_BELL];
	int err = meeting_take(socket, fds, descriptors(memory));

	if (err)
		return err;
	if (memory->bell >= 0)
		memory->peer_bell = fds[BELL];
	err = map(fds[PAGE], memory->page_size, PROT_READ, &page);
	if (!err) {
		memory->peer_page = page;
		err = map(fds[DATA], memory->data_size, PROT_READ, &data);
		if (!err)
			memory->peer_data = data;
	}
	close(fds[PAGE]);
	close(fds[DATA]);
	return err;
}

static int exchange(struct memory *memory, int socket)
{
	int err = offer(memory, socket);

	return err ? err : take(memory, socket);
}

int memory_listen(const struct memory_kind *kind, const struct setup *setup, void **end)
{
	struct memory *memory = prepare(kind, setup);
	int socket;

	if (!memory)
		return -ENOMEM;
	socket = meeting_listen(setup->path, SOCK_SEQPACKET, 1);
	if (socket < 0) {
		memory_close(memory);
		return socket;
	}
	memory->socket = socket;
	*end = memory;
	return 0;
}

int memory_accept(const struct memory_kind *kind, void *end)
{
	struct memory *memory = end;
	int socket = meeting_accept(memory->socket);
	int err;

	if (socket < 0)
		return socket;
	err = exchange(memory, socket);
	close(socket);
	if (!err)
		kind->begin(end);
	return err;
}

int memory_connect(const struct memory_kind *kind, const struct setup *setup, void **end)
{
	struct memory *memory = prepare(kind, setup);
	int socket, err;

	if (!memory)
		return -ENOMEM;
	socket = meeting_connect(setup->path, SOCK_SEQPACKET);
	err = socket < 0 ? socket : exchange(memory, socket);
	if (socket >= 0)
		close(socket);
	if (err) {
		memory_close(memory);
		return err;
	}
	kind->begin(memory);
	*end = memory;
	return 0;
}

int memory_pair(const struct memory_kind *kind, const struct setup *setup, void *ends[2])
{
	struct memory *one = prepare(kind, setup);
	struct memory *two = prepare(kind, setup);
	int sockets[2];
	int err = one && two ? meeting_pair(SOCK_SEQPACKET, sockets) : -ENOMEM;

	if (err)
		goto close_memory;
	err = offer(one, sockets[0]);
	if (!err)
		err = exchange(two, sockets[1]);
	if (!err)
		err = take(one, sockets[0]);
	close(sockets[0]);
	close(sockets[1]);
	if (err)
		goto close_memory;
	kind->begin(one);
	kind->begin(two);
	ends[0] = one;
	ends[1] = two;
	return 0;

close_memory:
	memory_close(one);
	memory_close(two);
	return err;
}

void memory_close(void *end)
{
	struct memory *memory = end;

	if (!memory)
		return;
	unmap(memory->page, memory->page_size);
	unmap(memory->data, memory->data_size);
	unmap(memory->peer_page, memory->page_size);
	unmap(memory->peer_data, memory->data_size);
	if (memory->socket >= 0)
		close(memory->socket);
	if (memory->bell >= 0)
		close(memory->bell);
	if (memory->peer_bell >= 0)
		close(memory->peer_bell);
	free(memory);
}
