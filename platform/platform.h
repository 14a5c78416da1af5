/*
 * SPDX-License-Identifier: MIT
 *
 * What the library asks of an operating system: sealed memory, sleeping, sockets that carry
 * descriptors, the clock, CPUs, and what to say about the machine. One folder a system; it knows
 * nothing of the library. It is a thin layer: a function is one system call and what must stand
 * around it, returns 0 or a negative errno, and writes no sentences.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Memory.
 */

/* A kind of memory that two processes can share. Never NULL members, never writable. */
struct peal_memory_ops {
	const char *name;
	bool sealed; /* the kernel keeps everyone but the first mapping from writing */

	/* Tries it out, for real; if it cannot be used, *why is the reason. */
	bool (*usable)(const char **why);

	/* A new object for size bytes, with nothing behind them yet, and of plain pages perhaps no
	 * size before it is filled; its descriptor or a negative errno. unit: the size of its
	 * pages, here and below: platform_page_size(), or that of huge ones, which come from the
	 * system's pool. */
	int (*create)(uint64_t size, uint64_t unit);

	/* Allocates all of it. -ENOSPC: the pool of huge pages, or a limit on it, is used up. */
	int (*fill)(int fd, uint64_t size, uint64_t unit);

	/* No new writable mapping, write, truncation or hole punch from here on. -ENOSYS: the
	 * system cannot do that with such pages, or not prove it to a peer. */
	int (*seal)(int fd, uint64_t unit);

	/* Proves a peer's object: sealed so, size bytes long, of such pages, no holes. -EPERM: not
	 * sealed memory; -ERANGE: another size; -EMEDIUMTYPE: other pages; -EFAULT: sparse; -EIO:
	 * it cannot be looked at. Of huge pages it must be proved once more after
	 * platform_touch: only that finds all holes.
	 * Never calls into a file system of the peer's. */
	int (*prove)(int fd, uint64_t size, uint64_t unit);
};

/* In order of preference, ended by NULL. */
extern const struct peal_memory_ops *const platform_memory_ops[];

/*
 * Maps a control page of so many bytes and a data area of capacity bytes (or none), which appears
 * twice, back to back, behind the page. The data area is in the same object, behind the page, or
 * (platform_map_apart) one of its own, and its address then a multiple of align. Children of a fork
 * do not get it. The three functions take the same page and capacity.
 */
int platform_map(int fd, uint64_t page, uint64_t capacity, bool writable, uint8_t **at);
int platform_map_apart(int fd, int data_fd, uint64_t page, uint64_t capacity, uint64_t align,
		       bool writable, uint8_t **at);
void platform_unmap(uint8_t *at, uint64_t page, uint64_t capacity);

/* What is allocated in a mapping of shared memory from here on comes from this NUMA node, and from
 * others where it has none left. */
int platform_prefer_node(uint8_t *at, uint64_t size, uint32_t node);

/* The NUMA node of a page, which is touched for that; or a negative errno. */
int platform_node(const uint8_t *at);

/* Keeps memory from being swapped out until it is unmapped. What may be locked without the
 * capability of that name, in bytes; and whether this process has it: 1, 0, or -ENOSYS: not
 * told. */
int platform_lock_memory(const uint8_t *at, uint64_t size);
uint64_t platform_lock_limit(void);
int platform_lock_capability(const char **name);

/* Touches all of it now. Where not all can be touched, or the system has no such call, a negative
 * errno, and never a signal. */
int platform_populate(uint8_t *at, uint64_t size, bool writable);

/* Reads a word of it by way of the system: 0, or a negative errno where it cannot be read and a
 * load would be a signal (-EFAULT), or the system cannot say. */
int platform_touch(const uint8_t *at);

/* The size of the huge pages that a page table's second level maps: 2 MiB where pages have 4 KiB.
 * Transparent ones have it, and pools mostly. */
uint64_t platform_huge_size(void);

/* How many huge pages of this size the pool has left for those who have not reserved any. A
 * negative errno: there is no such pool. PLATFORM_HUGE_POOL is where it is told of: a format that
 * takes the size in KiB. */
int64_t platform_huge_left(uint64_t unit);
#define PLATFORM_HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-%llukB/"

/* Whether shared memory may get transparent huge pages here; *why is the reason. */
bool platform_transparent(const char **why);

/* Asks for them in a mapping. Memory that has been allocated before keeps its pages. */
void platform_want_transparent(uint8_t *at, uint64_t size);

/* How many bytes from there on are mapped by transparent huge pages now, in the mapping that begins
 * there; a negative errno: not told. */
int64_t platform_transparent_bytes(const uint8_t *at);

/* Sets address space aside, of whole pages, that costs nothing, is not locked when all memory of
 * the process is, and that children of a fork do not get. platform_use makes some of it private
 * memory, which costs nothing until it is written, but where the system promises no memory that it
 * may not have (-ENOMEM). platform_give_back gives back the memory behind some of that, whose
 * content is lost. */
int platform_set_aside(uint64_t size, uint8_t **at);
int platform_use(uint8_t *at, uint64_t size);
void platform_give_back(uint8_t *at, uint64_t size);
void platform_take_down(uint8_t *at, uint64_t size);

uint64_t platform_page_size(void);

/*
 * Waiting.
 */

/* How a thread sleeps until a 32-bit word changes. Never NULL members, never writable. */
struct peal_waiter_ops {
	const char *name;
	bool (*usable)(const char **why);

	/*
	 * Sleeps while *word is seen, for ns nanoseconds at most (negative: no limit). 0: woken, or
	 * the word had changed; -ETIMEDOUT; -EINTR: a signal. shared: the word is in memory of
	 * another process, and may be mapped read-only.
	 */
	int (*wait)(const uint32_t *word, uint32_t seen, int64_t ns, bool shared);

	/* Wakes all who sleep on the word. */
	void (*wake)(const uint32_t *word, bool shared);
};

/* In order of preference, ended by NULL; the last one is always usable. */
extern const struct peal_waiter_ops *const platform_waiter_ops[];

/*
 * A full memory barrier in every thread of every registered process, now. Registering a process
 * that has threads takes some 10 ms, so ask platform_single_threaded() first where that matters.
 * False: cannot be had.
 */
bool platform_barrier_usable(const char **why);
bool platform_barrier_register(void);
bool platform_barrier(void);
bool platform_single_threaded(void);

/* The monotonic clock, ns. */
uint64_t platform_now(void);

/* What it will be so much later, and when a timeout is over that begins now (negative: never).
 * UINT64_MAX stands for never. */
static inline uint64_t platform_later(uint64_t now, uint64_t by)
{
	return by > UINT64_MAX - now ? UINT64_MAX : now + by;
}

static inline uint64_t platform_deadline(uint64_t now, int64_t timeout)
{
	return timeout < 0 ? UINT64_MAX : platform_later(now, (uint64_t)timeout);
}

/* All of the time, whatever signals come. */
void platform_sleep(uint64_t ns);

/*
 * CPUs. Numbers are the system's own; there may be holes between them, and no end at 1023.
 */

/* How many CPUs the calling thread may run on, as far as that is told; 2: it is not. */
unsigned platform_cpus(void);

/* Their numbers, ascending, which the caller frees; how many there are, or a negative errno. */
int platform_allowed(int32_t **cpus);

/* Keeps the calling thread on these CPUs. 0 or a negative errno (-EINVAL: it may use none). */
int platform_pin(const int32_t *cpus, unsigned count);

/* Ascending numbers as "0-3,8", or "0-3,..." where there is no room for all. */
void platform_cpu_list(char *text, size_t size, const int32_t *cpus, unsigned count);

/* A CPU and what it shares: two CPUs with the same number have that in common. -1: not told. */
struct platform_cpu {
	int32_t number;
	int32_t core;        /* the lowest CPU of its core */
	int32_t cache;       /* the lowest CPU of its last-level cache */
	int32_t node;        /* of NUMA */
	int32_t package;     /* what goes into a socket */
	int32_t capacity;    /* how much it can do, by the system's own measure */
	int32_t cache_level; /* 0: not told */
	uint64_t cache_size; /* bytes; 0: not told */
};

/* Reads it from below a folder, for tests; NULL: from the system's own. -ENOENT: there is no such
 * CPU, it is offline, or nothing is told of it; -EMFILE, -ENFILE, -ENOMEM. */
int platform_cpu(const char *system, int32_t number, struct platform_cpu *cpu);

/*
 * Sockets. All are SOCK_SEQPACKET, close-on-exec and never block.
 */

struct platform_credentials {
	int64_t pid;
	uint32_t uid, gid;
};

/* Descriptors that travel with a message. */
#define PLATFORM_DESCRIPTORS 4

struct platform_parcel {
	int count; /* of descriptors */
	int fd[PLATFORM_DESCRIPTORS];
	bool has_credentials;
	/* Received: the kernel vouches for the sender. To send: platform_self of some time ago. */
	struct platform_credentials credentials;
};

int platform_socket(void);

/* Gives a socket a name: a path, which gets these permission bits less the umask, or "@" and an
 * abstract name, which has none. Nobody can connect before platform_listen. */
int platform_bind(int fd, const char *name, uint32_t mode);

/* Gives a socket's path a group, unless that is 0, and these permission bits, whatever the umask.
 * Only a socket's: -EEXIST for what else somebody may have put there meanwhile; -EPERM: not a
 * group of ours; -EOPNOTSUPP: bits that the umask has taken cannot be given here. */
int platform_give(const char *path, uint32_t mode, uint32_t group);
int platform_listen(int fd, int backlog);

/* By the same names. 0, -EAGAIN: the backlog is full, or another errno. */
int platform_connect(int fd, const char *name);

/*
 * Makes a socket that somebody else made such a one as are made here. 0, or why it cannot be:
 * -EBADF: not open; -ENOTSOCK; -EAFNOSUPPORT: no Unix socket; -EPROTOTYPE: not SOCK_SEQPACKET;
 * -EINVAL: it listens or not, and should not or should; -ENOTCONN: neither listens nor is
 * connected.
 */
int platform_adopt(int fd, bool listening);

/* Another descriptor of the same thing, close-on-exec; or a negative errno. */
int platform_duplicate(int fd);

/* The next client's socket, or a negative errno. */
int platform_accept(int fd);

/* Who this process is: its effective user and group. */
void platform_self(struct platform_credentials *self);

/* One message with its descriptors; the sender's credentials go along: those in the parcel, if the
 * kernel still takes them for ours, else those of now. 0 or a negative errno
 * (-EAGAIN: full; -ETOOMANYREFS: too many descriptors of this user's are under way). */
int platform_send(int fd, const void *data, size_t size, const struct platform_parcel *parcel);

/*
 * One message: its whole length (which may be more than size; what is over is lost), 0 for an
 * end, or a negative errno. The descriptors in parcel are the caller's. -EPROTO: more descriptors
 * came than a parcel holds, -EMFILE: than this process may have; the message may be there still,
 * and the socket is to be closed by platform_close_socket.
 */
int64_t platform_receive(int fd, void *data, size_t size, struct platform_parcel *parcel);

/* From here on platform_receive tells credentials; of a listening socket: in those whom it accepts
 * from then on. */
int platform_want_credentials(int fd);

/* Who connected, or whose listening socket it was. */
int platform_peer(int fd, struct platform_credentials *peer);

/* Whether who connected, or called listen, has the group as a supplementary one. */
bool platform_peer_in_group(int fd, uint32_t gid);

/* Whether received credentials are those of a user or a process with a number here. Others may be
 * nobody's: so looks, too, what was sent before credentials were asked for. */
bool platform_is_somebody(const struct platform_credentials *who);

/* Our own effective user and group, and whether a user number is one that stands for a real user
 * here (in a user namespace all unmapped users share one number): 1, 0, or the errno that it cannot
 * be told for. */
uint32_t platform_uid(void);
uint32_t platform_gid(void);
int platform_uid_is_mapped(uint32_t uid);

/* One byte for a peer that polls its socket; a full socket is a bell already rung. False: there was
 * no memory for it, not in a millisecond either. */
bool platform_ring(int fd);

/* An eventfd that never blocks, to be handed to a peer; and one from a peer that is trusted,
 * rung; whether this may be one, by what can be asked without asking whoever is behind it. */
int platform_eventfd(void);
bool platform_may_be_eventfd(int fd);
void platform_ring_eventfd(int fd);

/* As if nobody had rung it: one of our own, that nobody else reads. */
void platform_clear_eventfd(int fd);

/*
 * Takes so many bytes at most out of a socket that a peer rang us by. How many there were;
 * -ECONNRESET: the other end is gone; -EPROTO: descriptors came with one (closed aside), and
 * something may be left. Never waits.
 */
int platform_drain(int fd, int most);

/* Whether the other end of a connected socket is gone. */
bool platform_hung_up(int fd);
void platform_hang_up(int fd);

/* Hangs up a socket that tells credentials, if it is not yet shut down on both sides, and takes out
 * the bytes that a peer rang by. True: nothing is left in it, so platform_close does. Never
 * waits. */
bool platform_end(int fd, bool hung_up);

void platform_close(int fd);

/* Closes descriptors that a stranger sent, aside, in a thread of its own that ends when there is
 * nothing left to close: their close may wait for the stranger. */
void platform_close_aside(const int *fds, int count);

/* Around a fork, by whoever handles forks. The child has copies of the descriptors that wait to be
 * closed aside, and keeps them until it closes something aside itself: closing may wait for a
 * stranger there, too. */
void platform_before_fork(void);
void platform_after_fork(bool child);

/* Closes a connected socket, aside if the other side has sent what nobody has read: there may be
 * descriptors in it. */
void platform_close_socket(int fd);

/* Closes a listening socket, and aside those who were not accepted. ours: nobody else has it, so
 * they are sent away; an abstract name is free then, unless there is no descriptor for that. */
void platform_close_listening(int fd, bool ours);

/* Waits until fd is readable (or writable). 0, -ETIMEDOUT, -EINTR. Negative ns: no limit. */
int platform_poll(int fd, bool writable, int64_t ns);

/* A descriptor that polls readable when one of its members does. */
int platform_poller(void);
int platform_poller_add(int poller, int fd, uint32_t key);

/* The same for a descriptor that is never read: it polls readable once for every time it was
 * rung. */
int platform_poller_add_edge(int poller, int fd, uint32_t key);

/* Waits until a member is readable, and takes note of edges. 0, -ETIMEDOUT, -EINTR. Negative ns: no
 * limit. */
int platform_poller_wait(int poller, int64_t ns);
void platform_poller_remove(int poller, int fd);

/* The keys of members that are readable now, at most so many; their number, or a negative errno. */
int platform_poller_ready(int poller, uint32_t *keys, int most);

/* The same, and if there are none waits for them: so many ns, or up to a millisecond less;
 * negative: no limit. A key has this with it if its member is a socket that is shut down on both
 * sides. */
#define PLATFORM_HUNG_UP 0x20000000u
int platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns);

/* A descriptor that polls readable once so many ns have passed; 0: not any more. */
int platform_timer(void);
void platform_timer_set(int timer, uint64_t ns);

/*
 * Names.
 */

/* Opens and locks a lock file. Its descriptor; -EADDRINUSE: somebody has it; -ENOENT: there is
 * none, and make is false; -EISDIR, -ELOOP, -EEXIST: a folder, a symbolic link, or something else
 * that is no lock file of ours is there; or another errno. */
int platform_lock(const char *path, bool make);

/* The pid, here, of who listens at a socket, 0 if that is not told or it has none here; waits up to
 * 50 ms for one who is about to. Not what the lock file says: that is a number of where it was
 * written. */
int64_t platform_listening_pid(const char *path);

/* Gives it back at once, even if a child that was just forked has a copy of the descriptor. */
void platform_unlock(int fd);

/* What stands at a path, or a negative errno. follow: behind symbolic links. */
enum platform_kind {
	PLATFORM_NOTHING,
	PLATFORM_SOCKET,
	PLATFORM_FILE,
	PLATFORM_FOLDER,
	PLATFORM_LINK,
	PLATFORM_DEVICE, /* or a pipe */
};
int platform_kind(const char *path, bool follow);

/* Whether somebody listens at a socket: -EADDRINUSE, -ENOENT nothing is there, -EEXIST no socket
 * is, 0 it is stale. */
int platform_probe_socket(const char *path);

int platform_remove(const char *path);

/* The path from the root on of what stands at a path; the caller frees it. */
int platform_whole_path(const char *path, char **whole);

/* Whether the folder that a path is in can be looked into: 0 or a negative errno. */
int platform_folder(const char *path);

/* Who may change what is in a folder: its owner, and by its permission bits (and 01000, sticky:
 * there nobody removes what is another's). follow: behind a symbolic link. 0, -ENOTDIR, -ELOOP: it
 * is a link, and follow is false; or another errno. */
struct platform_access {
	uint32_t owner, mode;
};
int platform_look_at_folder(const char *path, bool follow, struct platform_access *access);

/* Makes a folder with these permission bits, whatever the umask. 0, -EEXIST or another errno. */
int platform_make_folder(const char *path, uint32_t mode);

/* What tells a file from every other. */
struct platform_identity {
	uint64_t device, inode;
};
int platform_identify(const char *path, struct platform_identity *identity);

/*
 * The process.
 */

/* The name of the program. */
const char *platform_program(void);

/* The environment, or an empty one in a program with raised privileges. */
char **platform_environment(void);

/* One variable of it, or NULL. */
const char *platform_variable(const char *name);

int64_t platform_pid(void);

/*
 * Tells the one who started this process, if he wants to know, how it is: lines of sd_notify(3), as
 * "READY=1". Looks at NOTIFY_SOCKET each time, and so does a child of a fork: what it tells is
 * taken for its parent's word, so it should not. 1: told; 0: nobody wants to know; or why it could
 * not be told: -EAFNOSUPPORT: neither a path from the root on nor "@" and an abstract name;
 * -ENAMETOOLONG; -ENOENT, -ECONNREFUSED: nobody is there; -EPROTOTYPE: no datagram socket; -EAGAIN:
 * it is full; or what the system says. Never waits.
 */
int platform_notify(const char *state);

/* Raises the limit of descriptors as far as this process may: the new one, or a negative errno. */
int64_t platform_raise_descriptors(void);

/* The number that this process's descriptors stay below now; INT64_MAX: none. */
int64_t platform_descriptors(void);

/* The calling thread's number, never 0. */
uint32_t platform_thread(void);

/* One thing to tell about the machine. False past the last index. Strings are static or in
 * buffer. */
struct platform_fact {
	const char *group, *name;
	char value[256];
	char note[256];
};
bool platform_fact(unsigned index, struct platform_fact *fact);

#endif
