/*
 * SPDX-License-Identifier: MIT
 *
 * Checks of memory: huge pages of the pools and transparent ones, what may be locked, and how much
 * the control group leaves.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/look.h"

#define POOLS "/sys/kernel/mm/hugepages"
#define NODES "/sys/devices/system/node"
#define TRANSPARENT "/sys/kernel/mm/transparent_hugepage"

int read_limit(const struct machine *machine, const char *path, uint64_t *limit)
{
	char *text;
	int64_t length = tree_read(&machine->tree, path, &text);
	int err;

	if (length < 0)
		return (int)length;
	err = parse_limit(text, limit);
	free(text);
	return err;
}

/* --- pools of huge pages ---------------------------------------------------------------------- */

/* KiB of a folder's name, "hugepages-2048kB"; 0: it is no pool's. */
static uint64_t pool_kib(const char *name)
{
	unsigned long long kib;
	char end;

	return sscanf(name, "hugepages-%llukB%c", &kib, &end) == 1 ? kib : 0;
}

uint64_t default_kib(const struct machine *machine)
{
	char *text, value[32];
	unsigned long long kib = 0;

	if (tree_read(&machine->tree, "/proc/meminfo", &text) < 0)
		return 2048;
	if (!parse_field(text, "Hugepagesize", value, sizeof(value)))
		kib = strtoull(value, NULL, 10);
	free(text);
	return kib ? kib : 2048;
}

/* What a pool has; -1: the machine tells of no nodes. */
struct pool {
	int node;
	bool wanted; /* rings would be on this node */
	uint64_t all, unused;
	int err;
	char folder[128];
};

static void read_pool(const struct machine *machine, const char *name, struct pool *pool)
{
	char path[192];

	if (pool->node < 0)
		snprintf(pool->folder, sizeof(pool->folder), POOLS "/%.60s", name);
	else
		snprintf(pool->folder, sizeof(pool->folder), NODES "/node%d/hugepages/%.60s",
			 pool->node, name);
	snprintf(path, sizeof(path), "%s/nr_hugepages", pool->folder);
	pool->err = read_limit(machine, path, &pool->all);
	snprintf(path, sizeof(path), "%s/free_hugepages", pool->folder);
	if (!pool->err)
		pool->err = read_limit(machine, path, &pool->unused);
}

/* Whether rings of the user's would be on a node: that is the one that was named, or one with a
 * chosen CPU. */
static bool is_node_wanted(const struct machine *machine, int node)
{
	char path[64], *text;
	struct cpus cpus;
	bool met;

	if (machine->wish.node >= 0)
		return node == machine->wish.node;
	snprintf(path, sizeof(path), NODES "/node%d/cpulist", node);
	if (tree_read(&machine->tree, path, &text) < 0)
		return true;
	met = !parse_cpus(text, &cpus) && cpus_meet(&cpus, &machine->chosen);
	free(text);
	return met;
}

/* The pools of one size: each node's, or else the machine's. How many; at most most. */
static unsigned read_pools(const struct machine *machine, const char *name, struct pool *pools,
			   unsigned most)
{
	char **names, end;
	unsigned count = 0;

	if (!tree_list(&machine->tree, NODES, &names)) {
		for (char **entry = names; *entry && count < most; entry++) {
			struct pool *pool = &pools[count];

			if (sscanf(*entry, "node%d%c", &pool->node, &end) != 1)
				continue;
			read_pool(machine, name, pool);
			pool->wanted = is_node_wanted(machine, pool->node);
			/* Nodes without memory have no pools. */
			count += pool->err != -ENOENT || pool->wanted;
		}
		free(names);
	}
	if (!count) {
		pools[0] = (struct pool){ .node = -1, .wanted = true };
		read_pool(machine, name, &pools[0]);
		count = 1;
	}
	return count;
}

/* How many pages of the wanted pools are free, and promised to nobody. */
static uint64_t free_pages(const struct machine *machine, const char *name,
			   const struct pool *pools, unsigned count)
{
	char path[160];
	uint64_t unused = 0, promised = 0;

	for (unsigned i = 0; i < count; i++)
		if (pools[i].wanted && !pools[i].err)
			unused += pools[i].unused;
	snprintf(path, sizeof(path), POOLS "/%.60s/resv_hugepages", name);
	if (read_limit(machine, path, &promised))
		promised = 0;
	return unused > promised ? unused - promised : 0;
}

static void want_pages(struct finding *finding, const struct pool *pool, uint64_t need,
		       uint64_t unused)
{
	char path[192], value[32];

	finding->status = STATUS_FAIL;
	finding_wanted(finding, "%" PRIu64 " free", need);
	finding_why(finding,
		    "%" PRIu64
		    " free pages are too few for --bytes: such rings get plain pages, or no "
		    "link where huge ones are required",
		    unused);
	snprintf(path, sizeof(path), "%s/nr_hugepages", pool->folder);
	snprintf(value, sizeof(value), "%" PRIu64, pool->all + need - unused);
	fix_write(finding, path, value, "CAP_DAC_OVERRIDE");
	fix_persist(finding, PERSIST_TMPFILES, NULL);
}

#define POOLS_MAX 256

static void look_size(const struct check *check, const struct machine *machine,
		      struct findings *findings, const char *name, uint64_t need)
{
	struct pool *pools = calloc(POOLS_MAX, sizeof(*pools));
	char size[SIZE_TEXT], scope[64], path[192];
	unsigned count = pools ? read_pools(machine, name, pools, POOLS_MAX) : 0;
	uint64_t unused = pools ? free_pages(machine, name, pools, count) : 0;
	bool told = false, any = false; /* is wanted */

	print_size(pool_kib(name) * 1024, size);
	for (unsigned i = 0; i < count; i++) {
		const struct pool *pool = &pools[i];
		struct finding *finding;

		any |= pool->wanted;
		if (pool->node < 0)
			snprintf(scope, sizeof(scope), "%s", size);
		else
			snprintf(scope, sizeof(scope), "node%d %s", pool->node, size);
		snprintf(path, sizeof(path), "%s/free_hugepages", pool->folder);
		finding = finding_add(findings, check,
				      pool->err ? status_of_error(pool->err) : STATUS_OK, scope,
				      path);
		if (pool->err)
			continue;
		finding_current(finding, "%" PRIu64 " free of %" PRIu64, pool->unused, pool->all);
		if (pool->wanted && unused < need && !told) {
			want_pages(finding, pool, need, unused);
			told = true;
		}
	}
	if (need && count && !any) {
		struct finding *finding = finding_add(findings, check, STATUS_FAIL, size, NODES);

		finding_wanted(finding, "%" PRIu64 " free", need);
		if (machine->wish.node >= 0)
			finding_why(finding, "there is no node %d (--node)", machine->wish.node);
		else
			finding_why(finding, "no node has any of --cpus");
	}
	free(pools);
}

void look_huge_pools(const struct check *check, const struct machine *machine,
		     struct findings *findings)
{
	uint64_t own = default_kib(machine);
	unsigned before = findings->count;
	char **names;
	int err = tree_list(&machine->tree, POOLS, &names);

	if (err) {
		finding_add(findings, check, status_of_error(err), "", POOLS);
		return;
	}
	for (char **name = names; *name; name++) {
		uint64_t kib = pool_kib(*name), unit = kib * 1024;

		if (kib)
			look_size(check, machine, findings, *name,
				  kib == own ? (machine->wish.bytes + unit - 1) / unit : 0);
	}
	free(names);
	if (findings->count == before)
		finding_add(findings, check, STATUS_ABSENT, "", POOLS);
}

/* Version 1 says "no limit" by the largest multiple of a page. */
static uint64_t limit_v1(uint64_t limit)
{
	return limit >= (uint64_t)INT64_MAX / 65536 * 65536 ? UINT64_MAX : limit;
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* The path of the file beside another. */
static void beside(const char *path, const char *name, char other[CGROUP_PATH])
{
	snprintf(other, CGROUP_PATH, "%.*s%s", (int)(strrchr(path, '/') + 1 - path), path, name);
}

/* Pages of files that nobody has used for a while are taken back when room is needed. */
static uint64_t read_idle_files(const struct machine *machine, const char *limit)
{
	char path[CGROUP_PATH], *text, value[32];
	const char *line;
	uint64_t bytes = 0;

	beside(limit, "memory.stat", path);
	if (tree_read(&machine->tree, path, &text) < 0)
		return 0;
	line = strstr(text, "\ninactive_file ");
	if (line && sscanf(line, "\ninactive_file %31[0-9]", value) == 1 &&
	    parse_limit(value, &bytes))
		bytes = 0;
	free(text);
	return bytes;
}

/* A limit and what counts against it, in version 2 and in version 1; NULL: not there. */
struct limit {
	const char *controller;
	const char *name, *usage;
	const char *name_v1, *usage_v1;
};

static void read_room(const struct machine *machine, const struct limit *limit, bool version_2,
		      struct room *room)
{
	char path[CGROUP_PATH];
	uint64_t used = 0, idle = 0;

	room->err = read_limit(machine, room->path, &room->limit);
	room->limit = room->bytes = limit_v1(room->limit);
	if (room->err || room->limit == UINT64_MAX)
		return;
	beside(room->path, version_2 ? limit->usage : limit->usage_v1, path);
	room->err = read_limit(machine, path, &used);
	if (!strcmp(limit->controller, "memory"))
		idle = read_idle_files(machine, room->path);
	used -= idle < used ? idle : used;
	room->bytes = used < room->limit ? room->limit - used : 0;
}

/* least begins with no path, and may have what another limit leaves. */
static void find_room(const struct machine *machine, const struct limit *limit, struct room *least)
{
	struct room here = { .err = 0 };
	bool version_2;

	if (cgroup_file(machine, limit->controller, limit->name, limit->name_v1, here.path))
		return;
	version_2 = limit->name && !strcmp(strrchr(here.path, '/') + 1, limit->name);
	do {
		if (tree_has(&machine->tree, here.path))
			continue;
		read_room(machine, limit, version_2, &here);
		if (!*least->path || (!here.err && (least->err || here.bytes < least->bytes)))
			*least = here;
	} while (cgroup_climb(here.path));
}

/* What is used, and what is promised to who has mapped it. */
void find_huge_room(const struct machine *machine, uint64_t kib, struct room *least)
{
	unsigned shift = kib >= 1 << 20 ? 20 : kib >= 1 << 10 ? 10 : 0;
	char names[4][64];

	*least = (struct room){ .err = -ENOENT };
	for (int promised = 0; promised < 2; promised++) {
		static const char *const endings[] = { "max", "current", "limit_in_bytes",
						       "usage_in_bytes" };

		/* As the kernel names them: "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max". */
		for (int i = 0; i < 4; i++)
			snprintf(names[i], sizeof(names[i]), "hugetlb.%" PRIu64 "%cB.%s%s",
				 kib >> shift,
				 shift == 20 ? 'G' :
				 shift == 10 ? 'M' :
					       'K',
				 promised ? "rsvd." : "", endings[i]);
		find_room(machine,
			  &(struct limit){ "hugetlb", names[0], names[1], names[2], names[3] },
			  least);
	}
}

static void look_pool_limit(const struct check *check, const struct machine *machine,
			    struct findings *findings, uint64_t kib, uint64_t need)
{
	char size[SIZE_TEXT], left[SIZE_TEXT], wanted[SIZE_TEXT], value[32];
	struct finding *finding;
	struct room room;

	find_huge_room(machine, kib, &room);
	if (!*room.path)
		return;
	finding = finding_add(findings, check, room.err ? status_of_error(room.err) : STATUS_OK,
			      print_size(kib * 1024, size), room.path);
	if (room.err)
		return;
	if (room.limit == UINT64_MAX)
		finding_current(finding, "no limit");
	else
		finding_current(finding, "%s left", print_size(room.bytes, left));
	if (room.bytes >= need)
		return;
	finding->status = STATUS_FAIL;
	finding_wanted(finding, "%s left", print_size(need, wanted));
	finding_why(finding, "the control group gives fewer huge pages than --bytes takes, however "
			     "many the pool has");
	snprintf(value, sizeof(value), "%" PRIu64, room.limit + need - room.bytes);
	fix_write(finding, room.path, value, "CAP_DAC_OVERRIDE");
}

void look_hugetlb_cgroup(const struct check *check, const struct machine *machine,
			 struct findings *findings)
{
	uint64_t own = default_kib(machine);
	unsigned before = findings->count;
	char **names;
	int err = tree_list(&machine->tree, POOLS, &names);

	if (!err) {
		for (char **name = names; *name; name++) {
			uint64_t kib = pool_kib(*name);

			/* The limit is in whole pages: of part of one the kernel takes none. */
			if (kib)
				look_pool_limit(
					check, machine, findings, kib,
					kib == own ? round_up(machine->wish.bytes, kib * 1024) : 0);
		}
		free(names);
	}
	if (findings->count == before)
		finding_why(finding_add(findings, check, STATUS_ABSENT, "", "/sys/fs/cgroup"),
			    "no control group here limits huge pages");
}

/* --- transparent huge pages ------------------------------------------------------------------- */

/* The file with the word for pages of the size that Peal asks for: its own since Linux 6.11, unless
 * that one says to ask the common one. */
static int read_shmem(const struct machine *machine, char path[128], char word[32])
{
	int64_t bytes = 2 << 20, length;
	char *text;
	int err;

	tree_number(&machine->tree, TRANSPARENT "/hpage_pmd_size", &bytes);
	snprintf(path, 128, TRANSPARENT "/hugepages-%" PRId64 "kB/shmem_enabled", bytes / 1024);
	for (;;) {
		bool common = !strcmp(path, TRANSPARENT "/shmem_enabled");

		length = tree_read(&machine->tree, path, &text);
		err = length < 0 ? (int)length : parse_choice(text, word, 32);
		free(text);
		if (common || (err ? err != -ENOENT : strcmp(word, "inherit") != 0))
			return err;
		snprintf(path, 128, "%s", TRANSPARENT "/shmem_enabled");
	}
}

void look_thp_shmem(const struct check *check, const struct machine *machine,
		    struct findings *findings)
{
	char path[128], word[32] = "";
	int err = read_shmem(machine, path, word);
	struct finding *finding = finding_add(findings, check,
					      err ? status_of_error(err) : STATUS_OK, "", path);

	if (err)
		return;
	finding_current(finding, "%s", word);
	finding_wanted(finding, "advise/within_size/always");
	if (strcmp(word, "never") != 0 && strcmp(word, "deny") != 0)
		return;
	finding->status = STATUS_WARN;
	finding_why(finding,
		    "rings of 2 MiB and more get plain pages, unless they are of the pool");
	fix_write(finding, path, "advise", "CAP_DAC_OVERRIDE");
	fix_persist(finding, PERSIST_TMPFILES, NULL);
}

/* --- memory that is locked -------------------------------------------------------------------- */

void look_memlock(const struct check *check, const struct machine *machine,
		  struct findings *findings)
{
	uint64_t clients = machine->wish.clients ? machine->wish.clients : 1;
	uint64_t soft, hard, need = clients * RING_PAGES_BYTES;
	char path[64], size[SIZE_TEXT];
	int err = read_rlimit(machine, "Max locked memory", path, &soft, &hard);
	struct finding *finding = finding_add(findings, check,
					      err ? status_of_error(err) : STATUS_OK, "", path);

	if (err)
		return;
	finding_current(finding, "%s", print_size(soft, size));
	finding_wanted(finding, "at least %s", print_size(need, size));
	if (soft >= need)
		return;
	if (has_capability(machine, CAP_IPC_LOCK)) {
		finding_why(finding, "CAP_IPC_LOCK is at hand, so the limit does not count");
		return;
	}
	finding->status = STATUS_WARN;
	finding_why(finding,
		    "rings that are to be locked cannot be, and a link that asks for it is "
		    "not made (CAP_IPC_LOCK would help as well)");
	fix_rlimit(finding, machine, "-l", "memlock", 1024, need, hard);
}

/* --- the control group ------------------------------------------------------------------------ */

void look_memory_cgroup(const struct check *check, const struct machine *machine,
			struct findings *findings)
{
	uint64_t need = machine->wish.clients * CLIENT_BYTES + machine->wish.bytes;
	struct room least = { .err = -ENOENT };
	char left[SIZE_TEXT], all[SIZE_TEXT], value[32];
	struct finding *finding;

	find_room(machine,
		  &(struct limit){ "memory", "memory.max", "memory.current",
				   "memory.limit_in_bytes", "memory.usage_in_bytes" },
		  &least);
	find_room(machine, &(struct limit){ "memory", "memory.high", "memory.current", NULL, NULL },
		  &least);
	if (!*least.path) {
		finding_why(finding_add(findings, check, STATUS_ABSENT, "", "/sys/fs/cgroup"),
			    "no control group here limits memory");
		return;
	}
	finding = finding_add(findings, check, least.err ? status_of_error(least.err) : STATUS_OK,
			      "", least.path);
	if (least.err)
		return;
	if (least.limit == UINT64_MAX)
		finding_current(finding, "no limit");
	else
		finding_current(finding, "%s left of %s", print_size(least.bytes, left),
				print_size(least.limit, all));
	if (need)
		finding_wanted(finding, "at least %s left", print_size(need, left));
	if (least.bytes >= need)
		return;
	finding->status = STATUS_FAIL;
	finding_why(finding,
		    "so many clients and bytes have no room in the control group: links are "
		    "refused, or the kernel ends a process");
	if (least.bytes >= need - machine->wish.bytes) {
		finding->status = STATUS_WARN;
		finding_why(finding, "--bytes have no room in the control group, unless they are "
				     "of the pool of huge pages, which counts by itself");
	}
	/* The kernel takes whole pages alone, the largest of which are of 64 KiB. */
	snprintf(value, sizeof(value), "%" PRIu64,
		 round_up(least.limit + need - least.bytes, 65536));
	fix_write(finding, least.path, value, "CAP_DAC_OVERRIDE");
}

/* Whether there is somewhere to swap to; so it is taken if it cannot be told. */
static bool can_swap(const struct machine *machine)
{
	char *text;
	bool only_headings;

	if (tree_read(&machine->tree, "/proc/swaps", &text) < 0)
		return true;
	only_headings = !strchr(text, '\n');
	free(text);
	return !only_headings;
}

void look_swappiness(const struct check *check, const struct machine *machine,
		     struct findings *findings)
{
	struct finding *finding;
	int64_t value;
	int err;

	if (can_swap(machine)) {
		look_row(check, machine, findings);
		return;
	}
	err = tree_number(&machine->tree, check->path, &value);
	finding = finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "",
			      check->path);
	if (!err) {
		finding_current(finding, "%lld", (long long)value);
		finding_why(finding, "there is nothing to swap to");
	}
}
