/*
 * SPDX-License-Identifier: MIT
 *
 * CPUs: which ones the calling thread may use, what they share as sysfs tells it, and keeping a
 * thread on some of them. There may be holes in their numbers, and more of them than a cpu_set_t
 * holds. Nothing is kept from one call to the next: CPUs come and go.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/platform.h"

#define BITS_FIRST 1024
#define BITS_MOST (1 << 20) /* far more CPUs than Linux can be built for */

/*
 * The affinity mask.
 */

/* The calling thread's mask, to be freed, and its size in bytes. */
static int read_mask(cpu_set_t **mask, size_t *size)
{
	int err = -EINVAL;

	/* A mask that is too small for the kernel's own is -EINVAL. */
	for (size_t bits = BITS_FIRST; err == -EINVAL && bits <= BITS_MOST; bits *= 2) {
		*size = CPU_ALLOC_SIZE(bits);
		*mask = calloc(1, *size);
		if (!*mask)
			return -ENOMEM;
		err = sched_getaffinity(0, *size, *mask) ? -errno : 0;
		if (err)
			free(*mask);
	}
	return err;
}

unsigned platform_cpus(void)
{
	cpu_set_t *mask;
	size_t size;
	unsigned count;

	/* Who is not told goes on as most do. */
	if (read_mask(&mask, &size))
		return 2;
	count = (unsigned)CPU_COUNT_S(size, mask);
	free(mask);
	return count;
}

int platform_allowed(int32_t **cpus)
{
	cpu_set_t *mask;
	size_t size;
	int err = read_mask(&mask, &size);
	int count = 0;

	if (err)
		return err;
	*cpus = calloc((size_t)CPU_COUNT_S(size, mask) + 1, sizeof(**cpus));
	for (size_t cpu = 0; *cpus && cpu < size * CHAR_BIT; cpu++)
		if (CPU_ISSET_S(cpu, size, mask))
			(*cpus)[count++] = (int32_t)cpu;
	free(mask);
	return *cpus ? count : -ENOMEM;
}

int platform_pin(const int32_t *cpus, unsigned count)
{
	int32_t last = 0;
	cpu_set_t *mask;
	size_t size;
	int err = 0;

	for (unsigned i = 0; i < count; i++) {
		if (cpus[i] < 0 || cpus[i] >= BITS_MOST)
			return -EINVAL;
		if (cpus[i] > last)
			last = cpus[i];
	}
	size = CPU_ALLOC_SIZE((size_t)last + 1);
	mask = calloc(1, size);
	if (!mask)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		CPU_SET_S((size_t)cpus[i], size, mask);
	if (sched_setaffinity(0, size, mask))
		err = -errno;
	free(mask);
	return err;
}

void platform_cpu_list(char *text, size_t size, const int32_t *cpus, unsigned count)
{
	static const char more[] = ",...";
	size_t used = 0;

	text[0] = 0;
	for (unsigned first = 0, last; first < count; first = last + 1) {
		char range[32];
		int length;

		for (last = first; last + 1 < count && cpus[last + 1] == cpus[last] + 1;)
			last++;
		length = snprintf(range, sizeof(range), first == last ? "%s%d" : "%s%d-%d",
				  used ? "," : "", cpus[first], cpus[last]);
		/* Room for the mark is left, but behind the last one. */
		if (used + (size_t)length + (last + 1 < count ? sizeof(more) : 1) > size) {
			if (used + sizeof(more) <= size)
				memcpy(text + used, more, sizeof(more));
			return;
		}
		memcpy(text + used, range, (size_t)length + 1);
		used += (size_t)length;
	}
}

/*
 * What CPUs share.
 */

/* A CPU's folder, and why something in it could not be read although it may be there. */
struct folder {
	int fd;
	int err;
};

static void note(struct folder *folder)
{
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		folder->err = -errno;
}

/* The beginning of a file; false: there is none, or nothing in it. */
static bool read_text(struct folder *folder, const char *name, char *text, size_t size)
{
	ssize_t length;
	int fd;

	/* In containers these may be files of a FUSE daemon, whose calls a signal can end. */
	do
		fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0) {
		note(folder);
		return false;
	}
	do
		length = read(fd, text, size - 1);
	while (length < 0 && errno == EINTR);
	close(fd);
	text[length > 0 ? length : 0] = 0;
	return length > 0;
}

/* The number that a file begins with, which is the lowest one of a list; -1: there is none. */
static int32_t read_number(struct folder *folder, const char *name)
{
	char text[32], *end;
	long number;

	if (!read_text(folder, name, text, sizeof(text)))
		return -1;
	number = strtol(text, &end, 10);
	return end == text || number < 0 || number > INT32_MAX ? -1 : (int32_t)number;
}

/* The cache of the highest level: it is the one that most CPUs share. */
static void read_cache(struct folder *folder, struct platform_cpu *cpu)
{
	for (int i = 0; i < 16; i++) {
		char name[64], text[32], *end;
		int32_t level;

		snprintf(name, sizeof(name), "cache/index%d/level", i);
		level = read_number(folder, name);
		if (level < 0)
			return;
		if (level <= cpu->cache_level)
			continue;
		cpu->cache_level = level;
		snprintf(name, sizeof(name), "cache/index%d/shared_cpu_list", i);
		cpu->cache = read_number(folder, name);
		cpu->cache_size = 0;
		snprintf(name, sizeof(name), "cache/index%d/size", i);
		if (read_text(folder, name, text, sizeof(text))) {
			cpu->cache_size = strtoull(text, &end, 10);
			if (*end == 'K')
				cpu->cache_size <<= 10;
		}
	}
}

/* The folder has a link to its node's; in a kernel without NUMA nothing has. */
static void read_node(struct folder *folder, struct platform_cpu *cpu)
{
	int copy = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!entries) {
		note(folder);
		if (copy >= 0)
			close(copy);
		return;
	}
	while (cpu->node < 0 && (entry = readdir(entries))) {
		char *end;
		long node;

		if (strncmp(entry->d_name, "node", 4))
			continue;
		node = strtol(entry->d_name + 4, &end, 10);
		if (end > entry->d_name + 4 && !*end && node >= 0 && node <= INT32_MAX)
			cpu->node = (int32_t)node;
	}
	closedir(entries);
	if (cpu->node < 0 && faccessat(folder->fd, "../../node", F_OK, 0) && errno == ENOENT)
		cpu->node = 0;
}

int platform_cpu(const char *system, int32_t number, struct platform_cpu *cpu)
{
	char path[PATH_MAX];
	struct folder folder = { .err = 0 };

	*cpu = (struct platform_cpu){
		.number = number, .core = -1, .cache = -1, .node = -1, .package = -1, .capacity = -1
	};
	if (snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%d", system ? system : "/sys",
		     number) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	do
		folder.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (folder.fd < 0 && errno == EINTR);
	if (folder.fd < 0) {
		note(&folder);
		return folder.err ? folder.err : -ENOENT;
	}
	/* Where there is no such file, the CPU cannot be taken offline. */
	if (read_number(&folder, "online") == 0) {
		close(folder.fd);
		return -ENOENT;
	}
	cpu->core = read_number(&folder, "topology/core_cpus_list");
	if (cpu->core < 0) /* Linux before 5.3 */
		cpu->core = read_number(&folder, "topology/thread_siblings_list");
	cpu->package = read_number(&folder, "topology/physical_package_id");
	cpu->capacity = read_number(&folder, "cpu_capacity");
	read_cache(&folder, cpu);
	read_node(&folder, cpu);
	close(folder.fd);
	return folder.err;
}
