/*
 * SPDX-License-Identifier: MIT
 *
 * Links: one connection between two sides, with a ring in each direction. How to listen, accept,
 * connect and close. Messages are sent and received with the verbs of peal/ring.h.
 *
 * Threads: a link's tx may be used by one thread at a time and its rx by one thread at a time;
 * the two are independent and may be two threads. Closing needs the link to itself. Different
 * links are independent. A listener may be used by one thread at a time.
 *
 * Fork: a child's handles are dead (-ESTALE) and its copies of the descriptors are closed; the
 * parent's go on. The child may still close its handles, which frees their memory.
 *
 * Timeouts are nanoseconds from now: 0 does not wait (-EAGAIN), PEAL_FOREVER (or any negative
 * number) never ends, anything else ends with -ETIMEDOUT.
 */
#ifndef PEAL_LINK_H
#define PEAL_LINK_H

#include <stdint.h>

#include <peal/error.h>
#include <peal/options.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A timeout that never ends. */
#define PEAL_FOREVER ((int64_t)-1)

struct peal_link;
struct peal_listener;
struct peal_tx;
struct peal_rx;

/*
 * Addresses are text, of one of these forms:
 *
 * NAME     1 to 63 of A-Z, a-z, 0-9, ".", "_" and "-", with no dot at the beginning. A server of
 *          user 0 is at /run/peal/NAME, another at $XDG_RUNTIME_DIR/peal/NAME (a program with
 *          raised privileges has no XDG_RUNTIME_DIR); the folder peal is made, with mode 0755 or
 *          0700. Clients look in both places, their own user's first, and take the first where a
 *          server listens. A folder that another user owns, or that others may write in, is used
 *          by neither side.
 * @NAME    an abstract Unix socket: 1 to 107 bytes of any kind but zero. There is nothing in the
 *          file system: no lock file, no mode, no group, and nothing stays. Everybody in the same
 *          network namespace may come, or take the name first; credentials decide
 *          (options.allow, on both sides).
 * fd:N     descriptor N, a Unix socket of type SOCK_SEQPACKET: for servers one that listens, for
 *          clients one that is connected. When the call succeeds it belongs to the listener, or
 *          the link, which closes it; when it fails it is still the caller's (and good for another
 *          try, unless the handshake had begun). It is made close-on-exec and non-blocking, and
 *          who else has it must leave it so. Mode, group and backlog are what its maker gave it; a
 *          client is to the server whoever called connect.
 * systemd: the socket that systemd, or who else speaks the protocol of sd_listen_fds(3), has passed
 *          to this process by LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES; for servers only. With
 *          several sockets systemd:NAME says which (FileDescriptorName= in the .socket unit).
 *          libsystemd is not needed. The unit says ListenSequentialPacket=, SocketMode= and so on.
 *          The variables stay set, and the descriptor stays open, for other users of theirs; it is
 *          made close-on-exec and non-blocking.
 * a path   with at least one slash, not at its end, and at most 107 bytes; one that begins like
 *          another form goes behind "./". A lock file beside it (PATH.lock) tells a live server
 *          from a stale socket, which is replaced.
 */

/*
 * Listens at an address and stores a listener, which the caller closes. options may be NULL.
 *
 * -EINVAL: an address of no form or with a slash at its end, or an option that makes no sense;
 * -ERANGE: a ring too small or too large; -EOPNOTSUPP: an option that this version does not know;
 * -ENAMETOOLONG; -ENOENT: no such folder, no XDG_RUNTIME_DIR, or nothing from systemd; -EACCES: no
 * permission to write there; -EPERM: the folder of a NAME is not safe, or options.socket_group is
 * no group of ours; -EADDRINUSE: another server lives here (its pid is named, if it has one in this
 * pid namespace); -EEXIST: something that is no socket is in the way, or where the lock file should
 * be no lock file of this user's; -EISDIR, -ELOOP: there is a folder, or a symbolic link; -ENOSYS:
 * the system cannot seal memory, or not give the socket bits that the umask takes, or, as -EPERM
 * and -EACCES, a filter denies a system call; -EMFILE, -ENFILE, -ENOMEM, -ENOSPC. Of a descriptor:
 * -EBADF: not open; -ENOTSOCK, -EAFNOSUPPORT, -EPROTOTYPE: no such socket; -ENOTCONN, -EINVAL: it
 * does not listen.
 * Any thread; enters the kernel; waits no longer than 50 ms, to learn who has the address.
 */
PEAL_API int peal_listen(struct peal_listener **listener, const char *address,
			 const struct peal_options *options);

/*
 * Takes the next client whose handshake is complete and stores its link, which the caller closes.
 * A client that stalls delays nobody; one that is not admitted or talks nonsense is refused with
 * a sentence of its own and not reported here.
 *
 * -EAGAIN, -ETIMEDOUT: nobody came; -EMFILE, -ENFILE, -ENOMEM: a newcomer could not be taken in for
 * want of descriptors or memory (it has been told, or where not even that was possible waits
 * outside); -ESTALE: after a fork; -EBADF or what the system says: something has closed the
 * listener's descriptors.
 * One thread at a time; enters the kernel, and waits there; calls options.admit.
 */
PEAL_API int peal_accept(struct peal_listener *listener, struct peal_link **link, int64_t timeout);

/*
 * A descriptor that polls readable when peal_accept has something to do. It belongs to the
 * listener and is only to be polled. -ESTALE: after a fork. Any thread, as long as the listener is
 * not being closed; never enters the kernel.
 */
PEAL_API int peal_listener_fd(const struct peal_listener *listener);

/*
 * Stops listening, drops unfinished handshakes, removes the socket and frees the listener. NULL is
 * ignored. Links that were accepted live on. Cannot fail. No other thread may be using the
 * listener; enters the kernel, and does not wait there.
 */
PEAL_API void peal_listener_close(struct peal_listener *listener);

/*
 * Connects to the server at an address and stores the link, which the caller closes. A full
 * backlog, and more descriptors under way than the limits of either side's user allow, are retried
 * until the timeout ends. options may be NULL.
 *
 * -EINVAL, -ERANGE, -EOPNOTSUPP, -ENAMETOOLONG, -ENOENT (no such folder), -EACCES: as in
 * peal_listen; -ECONNREFUSED: no server there (of a NAME: in neither place; the sentence tells of
 * both); -EPROTOTYPE: it does not speak Peal; -EPROTONOSUPPORT: no common version; -EPERM: the
 * server does not admit us, or is not run by one whom `allow` accepts, or the folder of a NAME is
 * not safe; -E2BIG: the rings of the two sides and their limits do not fit; -ETIMEDOUT, -EAGAIN;
 * -ECONNRESET: the server went away half-way; -EBUSY: the server is out of descriptors or memory,
 * or has as many clients as it takes, at the same time or in a second, of all users or of this one:
 * try again later; -EPROTO: the server lied; -ENOSYS, -EMFILE, -ENFILE, -ENOMEM: as in peal_pair,
 * and so is what the system says of a ring that it has no room for (the descriptors of an answer
 * for which there was no room are closed by a thread, a moment later). Of a descriptor: as in
 * peal_listen, but -ENOTCONN, -EINVAL: it is not connected.
 * Any thread; enters the kernel, and waits there.
 */
PEAL_API int peal_connect(struct peal_link **link, const char *address,
			  const struct peal_options *options, int64_t timeout);

/*
 * Makes two linked ends inside this process, for two threads. Both are closed by the caller, in
 * any order.
 *
 * -EINVAL, -ERANGE, -EOPNOTSUPP: the options, as in peal_listen; -ENOSYS: the system cannot seal
 * memory; -EMFILE, -ENFILE: no descriptor is left; -ENOMEM, -ENOSPC: no memory; -EFBIG: the ring is
 * above the limit of file size. Any thread; enters the kernel, and does not wait there.
 */
PEAL_API int peal_pair(struct peal_link *links[2], const struct peal_options *options);

/*
 * Closes a link in order and frees it: what was sent stays readable to the peer, which then gets
 * -EPIPE, and is told how many messages were left unread here (65536: so many or more). It leaves
 * the set that it is in. NULL is ignored. Cannot fail. No other thread may be using the link, or
 * its set; enters the kernel, and does not wait there.
 */
PEAL_API void peal_close(struct peal_link *link);

/* What peal_link_arm is for. */
enum peal_for {
	PEAL_DATA = 1, /* a message, or the end of the link */
	PEAL_ROOM = 2  /* room for what the last reserve or send found none for */
};

/*
 * A descriptor that polls readable (select, poll, epoll level- or edge-triggered, an event loop's)
 * when there is something to do on an armed link. It belongs to the link, and is only to be polled.
 * -EOPNOTSUPP: a pair, or a link that spins; -EMFILE, -ENFILE, -ENOMEM, -ENOSPC; -ESTALE: after a
 * fork. By a thread that uses both ends; enters the kernel at the first call.
 */
PEAL_API int peal_link_fd(struct peal_link *link);

/*
 * To be called before each wait for the descriptor: tells the peer to ring it, and looks once more.
 * what: PEAL_DATA, PEAL_ROOM or both. 0: wait for the descriptor; 1: there is something now, so do
 * not wait. When it polls readable, receive (or send) with timeout 0 until -EAGAIN, then arm again.
 * Publishes what is pending. PEAL_ROOM is for just what found no room: a long stream into a slow
 * reader is better sent by a verb that may wait, which is not woken for each message's room.
 *
 * -EINVAL: nothing to be armed for; -EBUSY: the link is in a set, which arms it (see peal/set.h);
 * else as peal_link_fd. By a thread that uses both ends; enters the kernel. The peer fences from
 * then on, after each message for PEAL_DATA and each release for PEAL_ROOM; the first time that
 * this asks it to takes 20 microseconds.
 */
PEAL_API int peal_link_arm(struct peal_link *link, uint32_t what);

/* The two ends; they belong to the link and are gone with it. Cannot fail. Any thread; never enters
 * the kernel. */
PEAL_API struct peal_tx *peal_link_tx(struct peal_link *link);
PEAL_API struct peal_rx *peal_link_rx(struct peal_link *link);

/* Who is at the other side; belongs to the link and never changes. Cannot fail, after a fork
 * neither. Any thread; never enters the kernel. */
PEAL_API const struct peal_peer *peal_link_peer(const struct peal_link *link);

/* Which side of a link this one is. */
enum peal_role {
	PEAL_CLIENT = 0, /* it connected */
	PEAL_SERVER = 1, /* it accepted */
	PEAL_PAIR = 2    /* one of the ends of peal_pair */
};

/* Bits of peal_agreed.flags. */
enum peal_agreed_flag {
	/* Messages longer than a record may go, in fragments, as far as the two longest values
	 * allow. */
	PEAL_AGREED_FRAGMENTS = 1,
	/* The peer's process is registered for barriers: this side's sleeps may be asymmetric. */
	PEAL_AGREED_ASYMMETRIC = 2,
	/* This process is, and the peer has been told: its sleeps may be, if its options allow
	 * that. */
	PEAL_AGREED_PEER_ASYMMETRIC = 4,
	/* The peer knows of calls (PEAL_CALLS): it may be sent errors and cancels. */
	PEAL_AGREED_CALLS = 8
};

/* What the two sides of a link agreed on when it was made. All sizes in bytes. */
struct peal_agreed {
	uint32_t size;     /* sizeof(struct peal_agreed); the caller sets it */
	uint32_t role;     /* this side's, an enum peal_role */
	uint32_t protocol; /* version of the handshake; 0: a pair, which has none */
	uint32_t layout;   /* version of the shared layout */
	uint32_t abi;      /* PEAL_ABI of this side's program, and of the peer's as it says */
	uint32_t peer_abi;
	uint32_t wait; /* an enum peal_wait; the peer's as it says */
	uint32_t peer_wait;
	/* By what this side is rung when it waits by descriptor, and by what it rings the peer: an
	 * enum peal_bell, of which PEAL_BELL_AUTO means by none: a pair, or a side that spins. */
	uint32_t bell;
	uint32_t peer_bell;
	uint32_t flags;        /* any of enum peal_agreed_flag */
	uint32_t spare;        /* 0 */
	uint64_t page;         /* of the control page, in front of each ring */
	uint64_t ring;         /* that this side sends into */
	uint64_t peer_ring;    /* that the peer sends into */
	uint64_t largest;      /* message that this side can send in one record */
	uint64_t peer_largest; /* and the peer */
	uint64_t longest;      /* message that this side can send at all */
	uint64_t peer_longest; /* and the peer */
};

/*
 * Tells what was agreed on: the settings that came of both sides' options. Nothing of it changes
 * while the link lives, and a peer's lies later on do not change it. agreed->size must be set
 * before. -EINVAL if it is larger than this library's, or smaller than any.
 * Any thread, after a fork too; never enters the kernel.
 */
PEAL_API int peal_link_agreed(const struct peal_link *link, struct peal_agreed *agreed);

/* What a ring's memory has, or was to have. */
enum peal_memory_bit {
	PEAL_MEMORY_TWICE = 1,       /* mapped twice, back to back: always so */
	PEAL_MEMORY_HUGETLB = 2,     /* huge pages of the system's pool */
	PEAL_MEMORY_TRANSPARENT = 4, /* transparent huge pages, in some of it at least */
	PEAL_MEMORY_PREFAULTED = 8,  /* touched when the link was made */
	PEAL_MEMORY_LOCKED = 16      /* not to be swapped out */
};

/* The memory of one ring. */
struct peal_ring_memory {
	uint64_t bytes;       /* of the ring */
	uint64_t page;        /* bytes of the pages that map all of it */
	uint64_t wanted_page; /* what they were to have */
	uint64_t transparent; /* bytes that transparent huge pages map now */
	uint32_t has;         /* any of enum peal_memory_bit */
	uint32_t wanted;      /* what it was to have */
	int32_t node;         /* the NUMA node that it is on; -1: several, or it is not told */
	int32_t wanted_node;  /* -1: any */
	char why[256];        /* it has less than was wanted; or "" */
};

/* The memory of a link's rings. */
struct peal_memory {
	uint32_t size;              /* set by the caller, to sizeof(struct peal_memory) */
	uint32_t spare;             /* zero */
	struct peal_ring_memory tx; /* the ring that this side sends into */
	struct peal_ring_memory rx; /* the peer's, with what the peer says of it as wanted */
};

/*
 * What memory a link's two rings really got, what was wanted, and why it is less. Transparent huge
 * pages come and go, and are looked for now; so is the node, by some of the pages, which are
 * touched.
 *
 * -EINVAL: memory->size; -ESTALE: after a fork. Any thread; enters the kernel, and for a ring of
 * 2 MiB or more reads /proc/self/smaps, which takes milliseconds where there are thousands of
 * mappings.
 */
PEAL_API int peal_link_memory(const struct peal_link *link, struct peal_memory *memory);

#ifdef __cplusplus
}
#endif

#endif
