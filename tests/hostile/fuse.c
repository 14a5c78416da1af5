/*
 * SPDX-License-Identifier: MIT
 *
 * A file system that answers nothing. See fuse.h.
 */
#include "config.h"

#include "tests/hostile/fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runner.h"

#define SIZE 1048576

struct answer {
	struct fuse_out_header header;
	union {
		struct fuse_init_out init;
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	};
};

/* What is to be said to that; 0: nothing. */
static size_t find_answer(const struct fuse_in_header *asked, struct answer *answer)
{
	const struct fuse_init_in *offered = (const void *)(asked + 1);

	switch (asked->opcode) {
	case FUSE_INIT:
		answer->init.major = FUSE_KERNEL_VERSION;
		answer->init.minor = offered->minor < FUSE_KERNEL_MINOR_VERSION ?
					     offered->minor :
					     FUSE_KERNEL_MINOR_VERSION;
		answer->init.max_write = 4096;
		return sizeof(answer->init);
	case FUSE_LOOKUP:
		/* What it is like has to be asked for each time. */
		answer->entry.nodeid = answer->entry.attr.ino = 2;
		answer->entry.entry_valid = 3600;
		answer->entry.attr.mode = S_IFREG | 0600;
		answer->entry.attr.nlink = 1;
		answer->entry.attr.size = SIZE;
		return sizeof(answer->entry);
	case FUSE_OPEN:
		return sizeof(answer->open);
	default:
		return 0;
	}
}

/* Until it is killed, or nobody has the file system any more. */
static void serve(int device, int report)
{
	static uint8_t room[1 << 17];
	const struct fuse_in_header *asked = (const void *)room;

	for (;;) {
		struct answer answer = { .header.error = 0 };
		ssize_t came = read(device, room, sizeof(room));
		uint8_t opcode = (uint8_t)asked->opcode;
		size_t length;

		if (came < 0 && (errno == EINTR || errno == ENOENT))
			continue;
		if (came < (ssize_t)sizeof(*asked))
			_exit(1);
		length = find_answer(asked, &answer);
		if (!length) {
			/* Nobody needs to hear of all that nobody asked about. */
			if (write(report, &opcode, 1) < 0)
				continue;
			continue;
		}
		answer.header.unique = asked->unique;
		answer.header.len = (uint32_t)(sizeof(answer.header) + length);
		if (write(device, &answer, answer.header.len) < 0)
			_exit(2);
	}
}

/* The device has to be open in the daemon alone: who waits for an answer cannot even be killed. */
static void start_daemon(struct fuse *fuse, int device)
{
	pid_t parent = getpid();
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	fuse->daemon = fork();
	if (!fuse->daemon) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(3);
		close(ends[0]);
		serve(device, ends[1]);
	}
	close(device);
	close(ends[1]);
	fuse->asked = ends[0];
	ck_assert_int_gt(fuse->daemon, 0);
}

bool fuse_begin(struct fuse *fuse, const char *folder)
{
	int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[96];

	fuse->mapped = -1;
	snprintf(fuse->folder, sizeof(fuse->folder), "%s/fuse", folder);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", device, geteuid(),
		 getegid());
	ck_assert_int_eq(mkdir(fuse->folder, 0700), 0);
	if (device >= 0 && !unshare(CLONE_NEWNS) &&
	    !mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	    !mount("peal", fuse->folder, "fuse", MS_NOSUID | MS_NODEV, options)) {
		start_daemon(fuse, device);
		return true;
	}
	skip("no FUSE to be had here (errno %d): it takes root, /dev/fuse and mount", errno);
	if (device >= 0)
		close(device);
	rmdir(fuse->folder);
	return false;
}

int fuse_open(const struct fuse *fuse)
{
	char path[sizeof(fuse->folder) + 8];
	int fd;

	snprintf(path, sizeof(path), "%s/file", fuse->folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

void *fuse_page(struct fuse *fuse)
{
	void *at;

	/* To close it would be to wait. */
	fuse->mapped = fuse_open(fuse);
	at = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE,
		  fuse->mapped, 0);
	ck_assert_ptr_ne(at, MAP_FAILED);
	return at;
}

void fuse_await(const struct fuse *fuse, enum fuse_opcode what)
{
	uint8_t opcode = 0;

	while (opcode != what) {
		ssize_t came = read(fuse->asked, &opcode, 1);

		ck_assert_msg(came == 1 || (came < 0 && errno == EAGAIN),
			      "the file system has ended");
		sched_yield();
	}
}

void fuse_end(struct fuse *fuse)
{
	int status;

	kill(fuse->daemon, SIGKILL);
	ck_assert_int_eq(waitpid(fuse->daemon, &status, 0), fuse->daemon);
	ck_assert_msg(WIFSIGNALED(status), "the file system ended by itself (%d)", status);
	ck_assert_int_eq(umount2(fuse->folder, MNT_DETACH), 0);
	ck_assert_int_eq(rmdir(fuse->folder), 0);
	close(fuse->asked);
	if (fuse->mapped >= 0)
		close(fuse->mapped);
}
