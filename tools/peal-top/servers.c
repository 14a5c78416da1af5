/*
 * SPDX-License-Identifier: MIT
 *
 * Finding servers. The kernel's table of Unix sockets has their names as their owners chose them,
 * with spaces and line feeds: what it says is no more than a guess whom to ask. A path is asked
 * only where it is this user's socket with a lock file beside, as Peal makes them; an abstract name
 * where this user listens. Who answers as a Peal server that we may look at is one.
 */
#define _GNU_SOURCE /* struct ucred */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "servers.h"

#define ANSWER_NS INT64_C(200000000)
#define FLAGS_LISTENING 0x10000u /* __SO_ACCEPTCON */
#define TYPE_SEQPACKET 5u
#define PATH_SIZE 4096

struct list {
	struct server *all;
	unsigned count, room;
};

static struct server *append(struct list *list)
{
	if (list->count == list->room) {
		unsigned room = list->room ? list->room * 2 : 16;
		struct server *all = realloc(list->all, room * sizeof(*all));

		if (!all)
			return NULL;
		list->all = all;
		list->room = room;
	}
	memset(&list->all[list->count], 0, sizeof(list->all[0]));
	return &list->all[list->count++];
}

/* The pid in a lock file, as its server has written it; 0: none. */
static int64_t locked_by(const char *lock)
{
	FILE *file = fopen(lock, "re");
	int64_t pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%" SCNd64, &pid) != 1 || pid < 0)
		pid = 0;
	fclose(file);
	return pid;
}

/* Whether a socket that Peal may have made stands here. */
static bool is_ours(const char *path, int64_t *pid)
{
	char lock[PATH_SIZE + sizeof(".lock")];
	struct stat status;
	uid_t user = geteuid();

	if (lstat(path, &status) || !S_ISSOCK(status.st_mode) || (user && status.st_uid != user))
		return false;
	snprintf(lock, sizeof(lock), "%s.lock", path);
	if (lstat(lock, &status) || !S_ISREG(status.st_mode))
		return false;
	*pid = locked_by(lock);
	return true;
}

/* Whether a process has this socket open. */
static bool has_open(const char *pid, uint64_t inode)
{
	char folder[64], link[64], file[sizeof(folder) + 32];
	char wanted[64];
	const struct dirent *entry;
	bool found = false;
	DIR *descriptors;

	snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
	snprintf(folder, sizeof(folder), "/proc/%.20s/fd", pid);
	descriptors = opendir(folder);
	if (!descriptors)
		return false;
	while (!found && (entry = readdir(descriptors))) {
		ssize_t length;

		snprintf(file, sizeof(file), "%s/%.20s", folder, entry->d_name);
		length = readlink(file, link, sizeof(link) - 1);
		if (length <= 0)
			continue;
		link[length] = '\0';
		found = !strcmp(link, wanted);
	}
	closedir(descriptors);
	return found;
}

/* A relative path means something in the folder of the process that has the socket. False: nobody
 * of ours has it. */
static bool resolve(const char *path, uint64_t inode, char whole[PATH_SIZE])
{
	const struct dirent *entry;
	bool found = false;
	DIR *processes = opendir("/proc");

	if (!processes)
		return false;
	while (!found && (entry = readdir(processes))) {
		char link[64];
		ssize_t length;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    !has_open(entry->d_name, inode))
			continue;
		snprintf(link, sizeof(link), "/proc/%.20s/cwd", entry->d_name);
		length = readlink(link, whole, PATH_SIZE - 1);
		if (length <= 0)
			continue;
		while (path[0] == '.' && path[1] == '/')
			path += 2;
		snprintf(whole + length, (size_t)(PATH_SIZE - length), "/%s", path);
		found = true;
	}
	closedir(processes);
	return found;
}

/* Adds what a socket's name may mean, if it is nobody's whom we know. */
static int consider(struct list *list, const char *name, uint64_t inode)
{
	char whole[PATH_SIZE];
	struct server *server;
	int64_t pid = 0;

	if (name[0] != '@') {
		if (name[0] != '/') {
			if (!resolve(name, inode, whole))
				return 0;
			name = whole;
		}
		if (!is_ours(name, &pid))
			return 0;
	}
	if (strlen(name) >= sizeof(server->address))
		return 0;
	for (unsigned i = 0; i < list->count; i++)
		if (!strcmp(list->all[i].address, name))
			return 0;
	server = append(list);
	if (!server)
		return -ENOMEM;
	snprintf(server->address, sizeof(server->address), "%s", name);
	server->about.who.pid = pid;
	return 0;
}

/* One entry of the table begins like "0000000000000000: 00000002 00000000 00010000 0005 01 3456 ",
 * then comes the name. NULL: it does not; else the name, and whether somebody listens there. */
static char *begins_entry(char *line, uint64_t *inode, bool *listens)
{
	unsigned flags, type;
	int at = 0;

	if (sscanf(line, "%*x: %*x %*x %x %x %*x %" SCNu64 "%n", &flags, &type, inode, &at) < 3 ||
	    !at)
		return NULL;
	*listens = flags & FLAGS_LISTENING && type == TYPE_SEQPACKET;
	return line + at + (line[at] == ' ');
}

/* Collects whom to ask. An entry goes on in the next line, where that begins none. */
static int collect(struct list *list, FILE *table)
{
	char *line = NULL, name[PATH_SIZE] = "";
	size_t size = 0, at = 0;
	uint64_t inode = 0, next = 0;
	bool listens = false, other = false;
	ssize_t length;
	int err = 0;

	while (!err && (length = getline(&line, &size, table)) >= 0) {
		char *text;

		if (length && line[length - 1] == '\n')
			line[--length] = '\0';
		text = begins_entry(line, &next, &other);
		if (!text) {
			at += (size_t)snprintf(name + at, sizeof(name) - at, "\n%s", line);
		} else {
			if (listens && *name)
				err = consider(list, name, inode);
			inode = next;
			listens = other;
			at = (size_t)snprintf(name, sizeof(name), "%s", text);
		}
		if (at >= sizeof(name))
			at = sizeof(name) - 1;
	}
	if (!err && listens && *name)
		err = consider(list, name, inode);
	free(line);
	return err;
}

/* Whether who listens at an abstract name is this user, whom it would answer; root is answered by
 * all. True also where that cannot be told. */
static bool would_answer(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);
	struct ucred who = { .uid = geteuid() };
	socklen_t size = sizeof(who);
	int fd;

	if (!geteuid() || length > sizeof(address.sun_path))
		return true;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true;
	memcpy(address.sun_path + 1, name + 1, length - 1);
	if (!connect(fd, (const struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)))
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
	close(fd);
	return who.uid == geteuid();
}

/* Asks. False: it is none that is to be listed. */
static bool ask(struct server *server)
{
	bool is_path = server->address[0] == '/';
	int64_t pid = server->about.who.pid;
	struct peal_monitor *monitor;

	if (!is_path && !would_answer(server->address))
		return false;
	server->about.size = sizeof(server->about);
	server->err = peal_monitor_open(&monitor, server->address, ANSWER_NS);
	if (!server->err) {
		int count = peal_monitor_read(monitor, &server->about, NULL, 0);

		server->err = count < 0 ? count : 0;
		peal_monitor_close(monitor);
	}
	if (!server->err)
		return true;
	server->about.who.pid = pid;
	if (server->err == -EAGAIN)
		server->err = -ETIMEDOUT;
	return server->err == -ETIMEDOUT || (server->err == -EOPNOTSUPP && is_path);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct server *)a)->address, ((const struct server *)b)->address);
}

int servers_find(struct server **servers, const char *unix_table)
{
	struct list list = { NULL, 0, 0 };
	unsigned kept = 0;
	FILE *table = fopen(unix_table ? unix_table : "/proc/net/unix", "re");
	int err;

	if (!table)
		return -errno;
	err = collect(&list, table);
	fclose(table);
	if (err) {
		free(list.all);
		return err;
	}
	for (unsigned i = 0; i < list.count; i++)
		if (ask(&list.all[i]))
			list.all[kept++] = list.all[i];
	if (kept)
		qsort(list.all, kept, sizeof(list.all[0]), compare);
	*servers = list.all;
	return (int)kept;
}
