/*
 * SPDX-License-Identifier: MIT
 *
 * Surroundings, as surroundings.h says. A process of its own goes into them and makes a child that
 * is in all of them, and is the test's child.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/surroundings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* The tests' folder in a root of its own. */
#define MEETING "/meeting"

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool whole = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return whole;
}

/* All folders of a path, below a folder. */
static void make_folders(const char *below, const char *path)
{
	char whole[PATH_MAX];
	size_t begin = strlen(below) + 1;

	snprintf(whole, sizeof(whole), "%s%s/", below, path);
	for (char *slash = whole + begin; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(whole, 0755);
		*slash = '/';
	}
}

/* The same file tree, or link, below a folder. */
static bool show(const char *below, const char *path, const char *as, unsigned long flags)
{
	char whole[PATH_MAX], link[PATH_MAX] = "";
	struct stat status;

	if (lstat(path, &status))
		return true; /* not everybody has a /lib64 */
	snprintf(whole, sizeof(whole), "%s%s", below, as);
	if (S_ISLNK(status.st_mode))
		return readlink(path, link, sizeof(link) - 1) > 0 && !symlink(link, whole);
	make_folders(below, as);
	return !mount(path, whole, NULL, MS_BIND | flags, NULL);
}

/* A root with what it takes to run a program; no /proc, /sys, /dev, /tmp, /run. */
static bool move_out(void)
{
	static const char *const folders[] = { "/usr", "/bin", "/lib", "/lib64" };
	const char *root = scene_path("root");

	mkdir(root, 0755);
	if (mount("root", root, "tmpfs", 0, "mode=755"))
		return false;
	for (unsigned i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (!show(root, folders[i], folders[i], MS_REC))
			return false;
	return show(root, runner_built(""), runner_built(""), 0) &&
	       show(root, scene_path(""), MEETING, 0) && !chdir(root) &&
	       !syscall(SYS_pivot_root, ".", ".") && !umount2(".", MNT_DETACH) && !chdir("/");
}

/* A user namespace where this user is root, and nobody else has a number; or this one neither. */
static bool enter_user(bool nobody)
{
	char users[32], groups[32];

	snprintf(users, sizeof(users), "0 %u 1", geteuid());
	snprintf(groups, sizeof(groups), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER))
		return false;
	return nobody || (put("/proc/self/setgroups", "deny") && put("/proc/self/uid_map", users) &&
			  put("/proc/self/gid_map", groups));
}

static bool hide(const char *folder)
{
	struct stat status;

	return stat(folder, &status) || !mount("nothing", folder, "tmpfs", 0, "size=4k");
}

static bool arrange_mounts(const struct surroundings *s)
{
	unsigned long flags = s->what & SURROUNDINGS_READ_ONLY_SHM ? MS_RDONLY : 0;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	if (s->shm && mount("shm", "/dev/shm", "tmpfs", flags, s->shm))
		return false;
	if (s->what & SURROUNDINGS_NO_PROC && !(hide("/proc") && hide("/sys")))
		return false;
	return !(s->what & SURROUNDINGS_OWN_ROOT) || move_out();
}

/* What the calling process is in then, and its children are. */
static bool enter(const struct surroundings *s)
{
	const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };
	int others = s->namespaces & ~CLONE_NEWUSER;

	if (s->user && !geteuid() && (setgid(s->user) || setuid(s->user)))
		return false;
	/* What is ours in /proc is root's, until the next exec, without this. */
	prctl(PR_SET_DUMPABLE, 1);
	if (s->what & SURROUNDINGS_NO_MEMLOCK && setrlimit(RLIMIT_MEMLOCK, &none))
		return false;
	if ((s->namespaces & CLONE_NEWUSER || (others && geteuid())) && !enter_user(s->nobody))
		return false;
	if (unshare(others))
		return false;
	if (s->what & SURROUNDINGS_LATE && !put("/proc/self/timens_offsets", "monotonic 864000 0"))
		return false;
	return !(others & CLONE_NEWNS) || arrange_mounts(s);
}

const char *surroundings_missing(const struct surroundings *s)
{
	static char why[128];
	int status, nothing;
	pid_t child;

	if (runner_burdened() && (s->namespaces & CLONE_NEWPID ||
				  s->what & (SURROUNDINGS_NO_PROC | SURROUNDINGS_OWN_ROOT)))
		return "a sanitizer needs a /proc that knows its process";
	nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	child = fork();
	if (!child) {
		if (!enter(s))
			_exit(errno ? errno : EINVAL);
		/* A peer that is told nothing ends well, if it can be run there. */
		dup2(nothing, STDIN_FILENO);
		execl(runner_built("tests/process/peer"), "peer", (char *)NULL);
		_exit(127);
	}
	close(nothing);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return "no process to try it with";
	if (!WEXITSTATUS(status))
		return NULL;
	snprintf(why, sizeof(why), "%s cannot be had here: %s", s->name,
		 WEXITSTATUS(status) == 127 ? "no program runs there" :
					      strerror(WEXITSTATUS(status)));
	return why;
}

static pid_t fork_into(const void *data)
{
	int ends[2];
	pid_t child, between;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	between = fork();
	if (!between) {
		/* The test's child, and not this one's: it is to be waited for there. */
		child = enter(data) ?
				(pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) :
				-1;
		if (!child)
			return 0;
		_exit(write(ends[1], &child, sizeof(child)) != sizeof(child));
	}
	close(ends[1]);
	if (between < 0 || read(ends[0], &child, sizeof(child)) != sizeof(child))
		child = -1;
	close(ends[0]);
	if (between > 0)
		waitpid(between, NULL, 0);
	return child;
}

void peer_start_in(struct peer *peer, const struct surroundings *surroundings)
{
	peer_start_by(peer, fork_into, surroundings);
}

const char *surroundings_path(const struct surroundings *surroundings, const char *name)
{
	static char paths[4][108];
	static unsigned next;
	char *path = paths[next++ % 4];

	if (!(surroundings->what & SURROUNDINGS_OWN_ROOT))
		return scene_path(name);
	snprintf(path, sizeof(paths[0]), "%s/%s", MEETING, name);
	return path;
}
