/*
 * SPDX-License-Identifier: MIT
 *
 * Names in Linux' file systems: lock files, what stands somewhere, and who may go there.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/platform.h"

/* A lock file of ours is empty or has a number in it; anything else is somebody's, and stays:
 * -EEXIST. */
static int prove_lock_file(int fd)
{
	struct stat status;
	char text[32] = "";

	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_nlink != 1 ||
	    (status.st_uid != geteuid() && geteuid() != 0) || status.st_size >= (off_t)sizeof(text))
		return -EEXIST;
	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	return !*text || !strcmp(text + strspn(text, "0123456789"), "\n") ? 0 : -EEXIST;
}

int platform_lock(const char *path, bool make)
{
	int err,
		fd = open(path, O_RDWR | (make ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			  0600);
	struct rlimit limit;
	char text[32];

	if (fd < 0)
		return errno == ENXIO ? -EEXIST : -errno; /* a socket */
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
		close(fd);
		return err;
	}
	err = prove_lock_file(fd);
	if (err) {
		platform_unlock(fd);
		return err;
	}
	/* For people: nothing depends on what it says, nor on whether it can be said. Where no file
	 * may be written at all, trying would end the process, with SIGXFSZ. */
	snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (!ftruncate(fd, 0) && !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur &&
	    pwrite(fd, text, strlen(text), 0) < 0)
		errno = 0;
	return fd;
}

int64_t platform_listening_pid(const char *path)
{
	struct platform_credentials who = { .pid = 0 };

	for (int i = 0; i < 50; i++) {
		int fd = platform_socket(), err = fd < 0 ? fd : platform_connect(fd, path);

		if (!err)
			platform_peer(fd, &who);
		platform_close_socket(fd);
		if (err != -ENOENT && err != -ECONNREFUSED)
			break;
		platform_sleep(1000000);
	}
	return who.pid;
}

void platform_unlock(int fd)
{
	if (fd < 0)
		return;
	flock(fd, LOCK_UN);
	close(fd);
}

int platform_kind(const char *path, bool follow)
{
	struct stat status;

	if (follow ? stat(path, &status) : lstat(path, &status))
		return errno == ENOENT ? PLATFORM_NOTHING : -errno;
	switch (status.st_mode & S_IFMT) {
	case S_IFSOCK:
		return PLATFORM_SOCKET;
	case S_IFREG:
		return PLATFORM_FILE;
	case S_IFDIR:
		return PLATFORM_FOLDER;
	case S_IFLNK:
		return PLATFORM_LINK;
	default:
		return PLATFORM_DEVICE;
	}
}

int platform_probe_socket(const char *path)
{
	int err, fd, kind = platform_kind(path, false);

	if (kind != PLATFORM_SOCKET)
		return kind < 0 ? kind : kind == PLATFORM_NOTHING ? -ENOENT : -EEXIST;
	fd = platform_socket();
	if (fd < 0)
		return fd;
	err = platform_connect(fd, path);
	platform_close_socket(fd); /* whoever listens there is a stranger */
	return err == -ECONNREFUSED ? 0 : -EADDRINUSE;
}

int platform_remove(const char *path)
{
	return unlink(path) ? -errno : 0;
}

int platform_whole_path(const char *path, char **whole)
{
	*whole = realpath(path, NULL);
	return *whole ? 0 : -errno;
}

int platform_folder(const char *path)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) + 1 : 0;
	struct stat status;

	if (!length || length >= sizeof(folder))
		return -EINVAL;
	memcpy(folder, path, length);
	folder[length] = 0;
	if (stat(folder, &status))
		return -errno;
	return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int platform_look_at_folder(const char *path, bool follow, struct platform_access *access)
{
	struct stat status;

	if (follow ? stat(path, &status) : lstat(path, &status))
		return -errno;
	if (S_ISLNK(status.st_mode))
		return -ELOOP;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	*access = (struct platform_access){ .owner = status.st_uid,
					    .mode = status.st_mode & 07777 };
	return 0;
}

int platform_make_folder(const char *path, uint32_t mode)
{
	return mkdir(path, mode) || chmod(path, mode) ? -errno : 0;
}

int platform_identify(const char *path, struct platform_identity *identity)
{
	struct stat status;

	if (lstat(path, &status))
		return -errno;
	identity->device = status.st_dev;
	identity->inode = status.st_ino;
	return 0;
}
