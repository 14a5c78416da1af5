/*
 * SPDX-License-Identifier: MIT
 *
 * Placement: what CPUs share, read from trees as Linux shows them on machines of many kinds, which
 * ones are chosen there, and what can be said of any machine that runs this.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/placement.h"
#include "platform/platform.h"
#include "tests/filter.h"
#include "tests/unit/stage.h"

/*
 * Machines.
 */

#define CPUS_MOST 32

/* A tree like /sys, and the CPUs in it that a thread may use. */
struct machine {
	char root[64];
	int32_t numbers[CPUS_MOST];
	unsigned count;
	struct peal_cpu cpus[CPUS_MOST]; /* what was read of them */
};

/* What is recorded of a CPU; NULL and -1: there is no such file. */
struct record {
	int number;
	const char *core; /* a list */
	const char *l2;   /* a list of who shares it; the L1 of data is the core's */
	const char *l3;   /* likewise */
	const char *l3_size;
	int package;
	int node;
	int capacity;
};

static struct machine machine;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status, (void)kind, (void)at;
	return remove(path);
}

static void machine_begin(void)
{
	memset(&machine, 0, sizeof(machine));
	snprintf(machine.root, sizeof(machine.root), "/tmp/peal-placement.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(machine.root));
}

static void machine_end(void)
{
	if (*machine.root)
		nftw(machine.root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	machine.root[0] = 0;
}

/* Writes a file below the root, and the folders that lead to it; text NULL: a folder. */
static void record_write(const char *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void record_write(const char *text, const char *format, ...)
{
	char path[256];
	int used = snprintf(path, sizeof(path), "%s/devices/system/", machine.root);
	va_list arguments;
	FILE *file;

	va_start(arguments, format);
	vsnprintf(path + used, sizeof(path) - (size_t)used, format, arguments);
	va_end(arguments);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		ck_assert(!mkdir(path, 0700) || errno == EEXIST);
		*slash = '/';
	}
	if (!text) {
		ck_assert(!mkdir(path, 0700) || errno == EEXIST);
		return;
	}
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "%s\n", text);
	ck_assert_int_eq(fclose(file), 0);
}

static void record_number(int number, int cpu, const char *name)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	record_write(text, "cpu/cpu%d/%s", cpu, name);
}

static void record_cache(int cpu, int index, int level, const char *list, const char *size)
{
	char name[64];

	snprintf(name, sizeof(name), "cache/index%d/level", index);
	record_number(level, cpu, name);
	record_write(list, "cpu/cpu%d/cache/index%d/shared_cpu_list", cpu, index);
	record_write(size, "cpu/cpu%d/cache/index%d/size", cpu, index);
}

/* Adds a CPU that the thread may use. */
static void machine_add(const struct record *record)
{
	int cpu = record->number;

	record_write(NULL, "cpu/cpu%d", cpu);
	if (record->core)
		record_write(record->core, "cpu/cpu%d/topology/core_cpus_list", cpu);
	record_number(record->package, cpu, "topology/physical_package_id");
	if (record->capacity >= 0)
		record_number(record->capacity, cpu, "cpu_capacity");
	if (record->node >= 0) {
		record_write(NULL, "cpu/cpu%d/node%d", cpu, record->node);
		record_write(NULL, "node/node%d", record->node);
	}
	/* The order of the indexes says nothing. */
	if (record->l3)
		record_cache(cpu, 0, 3, record->l3, record->l3_size);
	if (record->l2) {
		record_cache(cpu, record->l3 ? 1 : 0, 1, record->core, "32K");
		record_cache(cpu, record->l3 ? 2 : 1, 2, record->l2, "1024K");
	}
	machine.numbers[machine.count++] = cpu;
}

static void machine_read(void)
{
	ck_assert_int_eq(placement_read(machine.root, machine.numbers, machine.count, machine.cpus),
			 0);
}

/* count cores from first on, each with a sibling whose number is more by so much; 0: none. */
static void add_cores(int first, int count, int sibling, const char *l3, int package, int node)
{
	for (int i = first; i < first + count; i++) {
		char core[32];

		snprintf(core, sizeof(core), sibling ? "%d,%d" : "%d", i, i + sibling);
		machine_add(&(struct record){ i, core, core, l3, "8192K", package, node, -1 });
	}
}

static int ascending(const void *a, const void *b)
{
	return *(const int32_t *)a - *(const int32_t *)b;
}

static void add_pairs(int first, int count, int sibling, const char *l3, int package, int node)
{
	add_cores(first, count, sibling, l3, package, node);
	for (int i = first; i < first + count; i++) {
		char core[32];

		snprintf(core, sizeof(core), "%d,%d", i, i + sibling);
		machine_add(&(struct record){ i + sibling, core, core, l3, "8192K", package, node,
					      -1 });
	}
	qsort(machine.numbers, machine.count, sizeof(machine.numbers[0]), ascending);
}

/* Four cores of two threads: 0 and 4 are siblings. */
static void laptop(void)
{
	add_pairs(0, 4, 4, "0-7", 0, 0);
	machine_read();
}

/* Two packages, each of them a node of four cores of two threads: 0 and 8 are siblings. */
static void two_sockets(void)
{
	add_pairs(0, 4, 8, "0-3,8-11", 0, 0);
	add_pairs(4, 4, 8, "4-7,12-15", 1, 1);
	machine_read();
}

/* One package, one node, two L3 of four cores each. */
static void two_caches(void)
{
	add_pairs(0, 4, 8, "0-3,8-11", 0, 0);
	add_pairs(4, 4, 8, "4-7,12-15", 0, 0);
	machine_read();
}

/* Four small cores and two big ones; no L3, no NUMA. */
static void big_and_little(void)
{
	for (int i = 0; i < 6; i++) {
		char core[16];

		snprintf(core, sizeof(core), "%d", i);
		machine_add(&(struct record){ i, core, i < 4 ? "0-3" : "4-5", NULL, NULL, 0, -1,
					      i < 4 ? 446 : 1024 });
	}
	machine_read();
}

/* Four CPUs, each a package, as hypervisors make them; nothing of caches. */
static void plain_guest(void)
{
	for (int i = 0; i < 4; i++) {
		char core[16];

		snprintf(core, sizeof(core), "%d", i);
		machine_add(&(struct record){ i, core, NULL, NULL, NULL, i, 0, -1 });
	}
	machine_read();
}

/* A package, and one that is divided into two nodes, with an L3 of which it is said that both have
 * it. */
static void divided_package(void)
{
	add_cores(0, 2, 0, "0-1", 1, 2);
	add_cores(2, 2, 0, "2-5", 0, 0);
	add_cores(4, 2, 0, "2-5", 0, 1);
	machine_read();
}

static void one_cpu(void)
{
	add_cores(0, 1, 0, "0", 0, 0);
	machine_read();
}

static struct peal_cpu cpu_of(int number)
{
	for (unsigned i = 0; i < machine.count; i++)
		if (machine.cpus[i].number == number)
			return machine.cpus[i];
	ck_abort_msg("there is no CPU %d", number);
}

static void expect_cpu(int number, int core, int cache, int level, int node, int package)
{
	struct peal_cpu cpu = cpu_of(number);

	ck_assert_int_eq(cpu.allowed, 1);
	ck_assert_msg(cpu.core == core, "CPU %d: core %d", number, cpu.core);
	ck_assert_msg(cpu.cache == cache, "CPU %d: cache %d", number, cpu.cache);
	ck_assert_msg(cpu.cache_level == level, "CPU %d: level %d", number, cpu.cache_level);
	ck_assert_msg(cpu.node == node, "CPU %d: node %d", number, cpu.node);
	ck_assert_msg(cpu.package == package, "CPU %d: package %d", number, cpu.package);
}

/* What is got when this is asked for, and which CPUs. */
static void expect_pair(enum peal_sharing asked, enum peal_sharing got, int first, int second)
{
	int pair[2];
	int answer = placement_pair(machine.cpus, machine.count, asked, pair);

	ck_assert_msg(answer == (int)got && pair[0] == first && pair[1] == second,
		      "asked for %d, got %d: CPUs %d and %d", asked, answer, pair[0], pair[1]);
}

/* near: the number of a CPU, or -1. text: what is chosen, "0 1 2". */
static void expect_choice(int near, unsigned wanted, const char *text)
{
	struct peal_cpu cpu = near >= 0 ? cpu_of(near) : machine.cpus[0];
	int chosen[CPUS_MOST];
	char list[256] = "";
	size_t used = 0;
	unsigned different = wanted < machine.count ? wanted : machine.count;

	ck_assert_uint_le(wanted, CPUS_MOST);
	ck_assert_int_eq(placement_choose(machine.cpus, machine.count, near >= 0 ? &cpu : NULL,
					  chosen, wanted),
			 different);
	for (unsigned i = 0; i < wanted; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, i ? " %d" : "%d",
					 chosen[i]);
	ck_assert_str_eq(list, text);
}

START_TEST(siblings_share_a_core_and_all_of_a_laptop_its_cache)
	{
		laptop();
		expect_cpu(0, 0, 0, 3, 0, 0);
		expect_cpu(5, 1, 0, 3, 0, 0);
		expect_cpu(7, 3, 0, 3, 0, 0);
		ck_assert_uint_eq(cpu_of(5).cache_size, 8 << 20);
		ck_assert_int_eq(cpu_of(5).capacity, -1);
	}
END_TEST

START_TEST(two_sockets_are_two_nodes_packages_and_caches)
	{
		two_sockets();
		expect_cpu(3, 3, 0, 3, 0, 0);
		expect_cpu(11, 3, 0, 3, 0, 0);
		expect_cpu(4, 4, 4, 3, 1, 1);
		expect_cpu(15, 7, 4, 3, 1, 1);
	}
END_TEST

START_TEST(a_node_may_have_several_last_level_caches)
	{
		two_caches();
		expect_cpu(3, 3, 0, 3, 0, 0);
		expect_cpu(4, 4, 4, 3, 0, 0);
	}
END_TEST

START_TEST(without_an_l3_the_l2_is_the_last_level)
	{
		big_and_little();
		expect_cpu(3, 3, 0, 2, 0, 0);
		expect_cpu(5, 5, 4, 2, 0, 0);
		ck_assert_int_eq(cpu_of(0).capacity, 446);
		ck_assert_int_eq(cpu_of(4).capacity, 1024);
	}
END_TEST

START_TEST(what_is_not_told_is_not_made_up)
	{
		struct platform_cpu told;

		plain_guest();
		expect_cpu(2, 2, -1, 0, 0, 2);
		ck_assert_uint_eq(cpu_of(2).cache_size, 0);
		/* A machine with nodes that does not say which one a CPU is of; nor anything. */
		record_write(NULL, "cpu/cpu9");
		ck_assert_int_eq(platform_cpu(machine.root, 9, &told), 0);
		ck_assert_int_eq(told.node, -1);
		ck_assert_int_eq(told.core, -1);
		ck_assert_int_eq(told.package, -1);
	}
END_TEST

START_TEST(what_is_not_told_of_is_not_said_to_be_apart)
	{
		laptop();
		record_write("0", "cpu/cpu3/online"); /* it goes while all are read */
		machine_read();
		expect_pair(PEAL_OTHER_NODE, PEAL_SAME_NODE, 0, 3);
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_LLC, 0, 1);
		/* No /sys at all. */
		ck_assert_int_eq(placement_read("/nowhere", machine.numbers, machine.count,
						machine.cpus),
				 0);
		expect_cpu(7, -1, -1, 0, -1, -1);
		for (int asked = PEAL_SAME_CORE; asked <= PEAL_OTHER_NODE; asked++)
			expect_pair((enum peal_sharing)asked, PEAL_SAME_NODE, 0, 1);
		expect_choice(-1, 9, "0 1 2 3 4 5 6 7 0");
		expect_choice(2, 8, "0 1 3 4 5 6 7 2");
	}
END_TEST

START_TEST(nonsense_in_a_file_is_not_told)
	{
		static const char *const texts[] = {
			"", "\n", "x", "-1", "99999999999999999999", "4294967296"
		};
		struct platform_cpu told;

		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
			record_write(texts[i], "cpu/cpu0/topology/core_cpus_list");
			record_write(texts[i], "cpu/cpu0/topology/physical_package_id");
			record_write(texts[i], "cpu/cpu0/cpu_capacity");
			record_write(texts[i], "cpu/cpu0/cache/index0/level");
			record_write(NULL, "cpu/cpu0/nodes");
			record_write(NULL, "cpu/cpu0/node");
			ck_assert_int_eq(platform_cpu(machine.root, 0, &told), 0);
			ck_assert_int_eq(told.core, -1);
			ck_assert_int_eq(told.package, -1);
			ck_assert_int_eq(told.capacity, -1);
			ck_assert_int_eq(told.cache, -1);
			ck_assert_int_eq(told.cache_level, 0);
			ck_assert_int_eq(told.node, 0);
		}
	}
END_TEST

START_TEST(older_kernels_name_the_siblings_otherwise)
	{
		struct platform_cpu told;

		record_write("2,6", "cpu/cpu6/topology/thread_siblings_list");
		ck_assert_int_eq(platform_cpu(machine.root, 6, &told), 0);
		ck_assert_int_eq(told.core, 2);
	}
END_TEST

START_TEST(cpus_that_are_offline_or_missing_are_not_there)
	{
		struct platform_cpu told;

		laptop();
		record_write("0", "cpu/cpu3/online");
		record_write("1", "cpu/cpu4/online");
		ck_assert_int_eq(platform_cpu(machine.root, 3, &told), -ENOENT);
		ck_assert_int_eq(platform_cpu(machine.root, 4, &told), 0);
		ck_assert_int_eq(platform_cpu(machine.root, 8, &told), -ENOENT);
		ck_assert_int_eq(platform_cpu("/nowhere", 0, &told), -ENOENT);
	}
END_TEST

START_TEST(a_cpu_that_goes_while_all_are_read_is_one_that_nothing_is_told_of)
	{
		laptop();
		record_write("0", "cpu/cpu3/online");
		machine_read();
		expect_cpu(2, 2, 0, 3, 0, 0);
		expect_cpu(3, -1, -1, 0, -1, -1);
		expect_cpu(7, 3, 0, 3, 0, 0);
		/* What is not told apart is not taken for siblings. */
		record_write("0", "cpu/cpu2/online");
		machine_read();
		expect_choice(-1, 8, "0 1 6 7 2 3 4 5");
		expect_pair(PEAL_SAME_CORE, PEAL_SAME_CORE, 0, 4);
	}
END_TEST

START_TEST(numbers_may_have_holes_and_go_beyond_1023)
	{
		machine_add(&(struct record){ 3, "3,2047", "3,2047", "3,1030,2047", "8192K", 0, 0,
					      -1 });
		machine_add(
			&(struct record){ 1030, "1030", "1030", "3,1030,2047", "8192K", 0, 0, -1 });
		machine_add(&(struct record){ 2047, "3,2047", "3,2047", "3,1030,2047", "8192K", 0,
					      0, -1 });
		machine_read();
		expect_cpu(2047, 3, 3, 3, 0, 0);
		expect_pair(PEAL_SAME_CORE, PEAL_SAME_CORE, 3, 2047);
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_LLC, 3, 1030);
		expect_choice(-1, 5, "3 1030 2047 3 1030");
		expect_choice(1030, 3, "3 2047 1030");
	}
END_TEST

START_TEST(a_pair_is_what_was_asked_for_where_there_is_one)
	{
		two_sockets();
		expect_pair(PEAL_SAME_CPU, PEAL_SAME_CPU, 0, 0);
		expect_pair(PEAL_SAME_CORE, PEAL_SAME_CORE, 0, 8);
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_LLC, 0, 1);
		expect_pair(PEAL_OTHER_NODE, PEAL_OTHER_NODE, 0, 4);
		/* The nodes are no larger than their caches. */
		expect_pair(PEAL_SAME_NODE, PEAL_SAME_LLC, 0, 1);
	}
END_TEST

START_TEST(caches_within_a_node_are_told_apart)
	{
		two_caches();
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_LLC, 0, 1);
		expect_pair(PEAL_SAME_NODE, PEAL_SAME_NODE, 0, 4);
		expect_pair(PEAL_OTHER_NODE, PEAL_SAME_NODE, 0, 4);
	}
END_TEST

START_TEST(a_pair_falls_back_to_what_is_there)
	{
		plain_guest();
		expect_pair(PEAL_SAME_CORE, PEAL_SAME_NODE, 0, 1);
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_NODE, 0, 1);
		expect_pair(PEAL_OTHER_NODE, PEAL_SAME_NODE, 0, 1);
		machine_end();
		/* Only siblings of each socket may be used. */
		machine_begin();
		two_sockets();
		machine.numbers[0] = 0, machine.numbers[1] = 4;
		machine.numbers[2] = 8, machine.numbers[3] = 12;
		machine.count = 4;
		machine_read();
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_CORE, 0, 8);
		expect_pair(PEAL_SAME_NODE, PEAL_SAME_CORE, 0, 8);
		expect_pair(PEAL_OTHER_NODE, PEAL_OTHER_NODE, 0, 4);
		/* One of each. */
		machine.count = 2;
		for (int asked = PEAL_SAME_CORE; asked <= PEAL_OTHER_NODE; asked++)
			expect_pair((enum peal_sharing)asked, PEAL_OTHER_NODE, 0, 4);
		machine.count = 1;
		for (int asked = PEAL_SAME_CPU; asked <= PEAL_OTHER_NODE; asked++)
			expect_pair((enum peal_sharing)asked, PEAL_SAME_CPU, 0, 0);
	}
END_TEST

START_TEST(one_cpu_is_shared_by_all)
	{
		one_cpu();
		for (int asked = PEAL_SAME_CPU; asked <= PEAL_OTHER_NODE; asked++)
			expect_pair((enum peal_sharing)asked, PEAL_SAME_CPU, 0, 0);
		expect_choice(-1, 3, "0 0 0");
		expect_choice(0, 1, "0");
		expect_choice(-1, 0, "");
	}
END_TEST

START_TEST(big_cores_come_before_little_ones)
	{
		big_and_little();
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_LLC, 4, 5);
		expect_pair(PEAL_SAME_NODE, PEAL_SAME_NODE, 0, 4);
		expect_choice(-1, 3, "4 5 0");
		expect_choice(4, 6, "5 0 1 2 3 4");
		expect_choice(1, 4, "0 2 3 4");
	}
END_TEST

START_TEST(nodes_that_divide_a_package_are_other_nodes)
	{
		divided_package();
		expect_pair(PEAL_OTHER_NODE, PEAL_OTHER_NODE, 0, 2);
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_LLC, 0, 1);
		/* Nearer than those of another package. */
		expect_choice(3, 6, "2 4 5 0 1 3");
		machine.numbers[0] = 2, machine.numbers[1] = 4;
		machine.count = 2;
		machine_read();
		expect_pair(PEAL_SAME_LLC, PEAL_OTHER_NODE, 2, 4);
	}
END_TEST

START_TEST(threads_get_cores_of_their_own_before_siblings)
	{
		laptop();
		expect_choice(-1, 4, "0 1 2 3");
		expect_choice(-1, 10, "0 1 2 3 4 5 6 7 0 1");
		/* A CPU that is busy slows its sibling down, too. */
		expect_choice(2, 8, "0 1 3 6 4 5 7 2");
		expect_choice(6, 3, "0 1 3");
	}
END_TEST

START_TEST(threads_stay_together_or_near_what_they_are_to_be_near)
	{
		const struct peal_cpu node = { -1, 0, -1, -1, 1, 1, -1, 0, 0 };
		int chosen[2];

		two_sockets();
		expect_choice(-1, 6, "0 1 2 3 4 5");
		expect_choice(5, 5, "4 6 7 0 1");
		ck_assert_int_eq(placement_choose(machine.cpus, machine.count, &node, chosen, 2),
				 2);
		ck_assert_int_eq(chosen[0], 4);
		ck_assert_int_eq(chosen[1], 5);
		machine_end();
		/* Nodes whose numbers alternate. */
		machine_begin();
		for (int i = 0; i < 6; i++)
			add_cores(i, 1, 0, i % 2 ? "1,3,5" : "0,2,4", i % 2, i % 2);
		machine_read();
		expect_choice(-1, 6, "0 2 4 1 3 5");
		expect_choice(3, 3, "1 5 0");
	}
END_TEST

START_TEST(only_cpus_that_may_be_used_are_chosen)
	{
		two_sockets();
		/* A sibling whose core's first CPU may not be used is the first one then. */
		machine.numbers[0] = 5, machine.numbers[1] = 8, machine.numbers[2] = 13;
		machine.count = 3;
		machine_read();
		expect_choice(-1, 3, "5 8 13");
		expect_pair(PEAL_SAME_LLC, PEAL_SAME_CORE, 5, 13);
		expect_pair(PEAL_OTHER_NODE, PEAL_OTHER_NODE, 5, 8);
	}
END_TEST

START_TEST(lists_of_cpus_are_written_as_ranges_and_say_when_they_are_cut)
	{
		static const int32_t some[] = { 0, 1, 2, 5, 7, 8, 1030 };
		static const struct {
			unsigned count;
			size_t size;
			const char *text;
		} right[] = {
			{ 0, 64, "" },
			{ 1, 64, "0" },
			{ 4, 64, "0-2,5" },
			{ 7, 64, "0-2,5,7-8,1030" },
			{ 7, 15, "0-2,5,7-8,1030" },
			{ 7, 14, "0-2,5,7-8,..." },
			{ 7, 13, "0-2,5,..." },
		};

		for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
			char text[64];

			memset(text, 'x', sizeof(text));
			platform_cpu_list(text, right[i].size, some, right[i].count);
			ck_assert_str_eq(text, right[i].text);
		}
	}
END_TEST

/*
 * This machine.
 */

static int32_t *mine;
static int mine_count;

static void set_up(void)
{
	machine_begin();
	mine_count = platform_allowed(&mine);
	ck_assert_int_ge(mine_count, 1);
}

static void tear_down(void)
{
	free(mine);
	machine_end();
}

/* Whether exactly this CPU may be used; asked of the kernel. */
static bool is_pinned_to(int number)
{
	size_t size = CPU_ALLOC_SIZE(1 << 16);
	cpu_set_t *mask = CPU_ALLOC(1 << 16);
	bool pinned = !sched_getaffinity(0, size, mask) && CPU_COUNT_S(size, mask) == 1 &&
		      CPU_ISSET_S((size_t)number, size, mask);

	CPU_FREE(mask);
	return pinned;
}

START_TEST(all_cpus_that_may_be_used_are_listed)
	{
		struct peal_cpu *cpus = calloc((size_t)mine_count + 1, sizeof(*cpus));
		unsigned before;

		cpus[mine_count].number = -7;
		ck_assert_int_eq(peal_cpu_list(NULL, 0), mine_count);
		ck_assert_int_eq(peal_cpu_list(cpus, (unsigned)mine_count + 1), mine_count);
		ck_assert_int_eq(cpus[mine_count].number, -7);
		for (int i = 0; i < mine_count; i++) {
			struct peal_cpu again;

			ck_assert_int_eq(cpus[i].number, mine[i]);
			ck_assert_int_eq(cpus[i].allowed, 1);
			ck_assert_int_eq(peal_cpu_find(mine[i], &again), 0);
			ck_assert_mem_eq(&again, &cpus[i], sizeof(again));
			/* As the kernel says. */
			if (cpus[i].node >= 0) {
				struct peal_affinity *all;
				unsigned cpu, node;

				ck_assert_int_eq(peal_cpu_pin(mine[i], &all), 0);
				ck_assert_int_eq(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
				ck_assert_int_eq(peal_cpu_unpin(all), 0);
				ck_assert_int_eq((int)cpu, mine[i]);
				ck_assert_int_eq((int)node, cpus[i].node);
			}
		}
		before = (unsigned)cpus[0].core;
		cpus[0].number = -7;
		ck_assert_int_eq(peal_cpu_list(cpus, 0), mine_count);
		ck_assert_int_eq(cpus[0].number, -7);
		ck_assert_uint_eq((unsigned)cpus[0].core, before);
		free(cpus);
	}
END_TEST

START_TEST(what_is_chosen_here_may_be_used_and_is_what_it_is_said_to_be)
	{
		int pair[2], chosen[3];

		for (int asked = PEAL_SAME_CPU; asked <= PEAL_OTHER_NODE; asked++) {
			int got = peal_cpu_pair((enum peal_sharing)asked, pair);
			struct peal_cpu a, b;

			ck_assert_int_ge(got, 0);
			ck_assert_int_eq(peal_cpu_find(pair[0], &a), 0);
			ck_assert_int_eq(peal_cpu_find(pair[1], &b), 0);
			ck_assert_int_eq(a.allowed + b.allowed, 2);
			ck_assert_int_eq((int)peal_cpu_sharing(&a, &b), got);
			ck_assert(asked == PEAL_SAME_CPU || mine_count == 1 ||
				  got != PEAL_SAME_CPU);
		}
		for (int near = -1; near <= mine[0]; near += mine[0] + 1) {
			ck_assert_int_eq(peal_cpu_choose(chosen, 3, near, -1),
					 mine_count < 3 ? mine_count : 3);
			for (int i = 0; i < 3; i++) {
				struct peal_cpu cpu;

				ck_assert_int_eq(peal_cpu_find(chosen[i], &cpu), 0);
				ck_assert_int_eq(cpu.allowed, 1);
			}
			ck_assert(near < 0 || mine_count == 1 || chosen[0] != near);
		}
		ck_assert_int_ge(peal_cpu_choose(chosen, 1, -1, 0), 1);
		ck_assert_int_eq(peal_cpu_choose(NULL, 0, -1, -1), 0);
	}
END_TEST

START_TEST(wrong_arguments_are_refused_with_a_sentence)
	{
		struct peal_cpu cpu;
		int pair[2] = { -3, -3 };
		char first[16];

		snprintf(first, sizeof(first), "%d", mine[0]);
		expect_error(peal_cpu_pair((enum peal_sharing)5, pair), -EINVAL, "5", "0 to 4",
			     NULL);
		ck_assert_int_eq(pair[0], -3);
		expect_error(peal_cpu_choose(pair, 2, -2, -1), -EINVAL, "-2", NULL);
		expect_error(peal_cpu_choose(pair, 2, -1, -2), -EINVAL, "-2", NULL);
		expect_error(peal_cpu_choose(pair, 1u << 31, -1, -1), -EINVAL, "2147483648", NULL);
		expect_error(peal_cpu_choose(pair, 2, 1 << 30, -1), -ENOENT, "1073741824", NULL);
		ck_assert_int_eq(pair[0], -3);
		expect_error(peal_cpu_find(-1, &cpu), -ENOENT, "CPU -1", first, NULL);
		expect_error(peal_cpu_find(INT32_MAX, &cpu), -ENOENT, "2147483647", first, NULL);
	}
END_TEST

START_TEST(a_thread_is_pinned_and_gets_its_mask_back)
	{
		struct peal_affinity *before = NULL;
		int last = mine[mine_count - 1];

		ck_assert_int_eq(peal_cpu_pin(last, &before), 0);
		ck_assert(is_pinned_to(last));
		ck_assert_int_eq(sched_getcpu(), last);
		ck_assert_int_eq(peal_cpu_list(NULL, 0), 1);
		/* Choosing comes before pinning. */
		ck_assert_int_eq(peal_cpu_choose(&last, 1, -1, -1), 1);
		/* A mask is no limit to a thread that pins itself. */
		ck_assert_int_eq(peal_cpu_pin(mine[0], NULL), 0);
		ck_assert(is_pinned_to(mine[0]));
		ck_assert_int_eq(peal_cpu_unpin(before), 0);
		ck_assert_int_eq(peal_cpu_list(NULL, 0), mine_count);
		ck_assert_int_eq(peal_cpu_unpin(NULL), 0);
	}
END_TEST

START_TEST(a_cpu_that_is_not_there_is_no_place_to_be_pinned_to)
	{
		static const int32_t nowhere[] = { -1, -32768, (1 << 20) - 1, 1 << 20, INT32_MAX };
		struct peal_affinity *before = NULL;

		for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
			char number[16];

			snprintf(number, sizeof(number), "%d", nowhere[i]);
			expect_error(peal_cpu_pin(nowhere[i], &before), -EINVAL, number, "online",
				     NULL);
			ck_assert_ptr_null(before);
		}
		ck_assert_int_eq(peal_cpu_list(NULL, 0), mine_count);
	}
END_TEST

/* What a kernel for so many CPUs does, one of which is LARGE; 0: this machine's. */
static size_t kernel_cpus;
#define LARGE 3000
static int pinning_fails;  /* errno, or 0 */
static size_t pinned_size; /* of the last mask that had LARGE */

int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *mask);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *mask);
int __real_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *mask);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *mask);

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *mask)
{
	if (size * 8 < kernel_cpus) {
		errno = EINVAL;
		return -1;
	}
	if (kernel_cpus) {
		memset(mask, 0, size);
		CPU_SET_S(0, size, mask);
		CPU_SET_S(LARGE, size, mask);
		return 0;
	}
	return __real_sched_getaffinity(pid, size, mask);
}

int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *mask)
{
	if (pinning_fails) {
		errno = pinning_fails;
		return -1;
	}
	if (kernel_cpus) {
		pinned_size = CPU_COUNT_S(size, mask) && CPU_ISSET_S(LARGE, size, mask) ? size : 0;
		return 0;
	}
	return __real_sched_setaffinity(pid, size, mask);
}

START_TEST(masks_are_as_large_as_the_kernel_needs)
	{
		static const size_t sizes[] = { LARGE + 1, 4096, 8192, 1 << 20 };

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct peal_affinity *before;
			struct peal_cpu cpus[2];
			int pair[2];

			kernel_cpus = sizes[i];
			ck_assert_int_eq(peal_cpu_list(cpus, 2), 2);
			ck_assert_int_eq(cpus[0].number, 0);
			ck_assert_int_eq(cpus[1].number, LARGE);
			ck_assert_uint_eq(platform_cpus(), 2);
			ck_assert_int_gt(peal_cpu_pair(PEAL_OTHER_NODE, pair), PEAL_SAME_CPU);
			ck_assert_int_eq(pair[1], LARGE);
			ck_assert_int_eq(peal_cpu_pin(LARGE, &before), 0);
			ck_assert_uint_gt(pinned_size * 8, LARGE);
			pinned_size = 0;
			ck_assert_int_eq(peal_cpu_unpin(before), 0);
			ck_assert_uint_gt(pinned_size * 8, LARGE);
		}
		/* There is an end. */
		kernel_cpus = (1 << 20) + 1;
		expect_error(peal_cpu_list(NULL, 0), -EINVAL, "sched_getaffinity", NULL);
		kernel_cpus = 0;
	}
END_TEST

START_TEST(who_cannot_be_unpinned_is_told_why)
	{
		struct peal_affinity *before;
		struct peal_cpu cpu;

		for (int i = 0; i < 2; i++) {
			ck_assert_int_gt(peal_cpu_list(&cpu, 1), 0);
			ck_assert_int_eq(peal_cpu_pin(cpu.number, &before), 0);
			pinning_fails = i ? EINVAL : EPERM;
			expect_error(peal_cpu_unpin(before), i ? -EINVAL : -EPERM,
				     i ? "cpuset" : "sched_setaffinity", NULL);
			pinning_fails = 0;
		}
	}
END_TEST

static const char *with_one_cpu(void *data)
{
	const int32_t *only = data;
	struct peal_cpu cpus[2];
	int pair[2], chosen[4];

	if (platform_pin(only, 1))
		return wrong("pinning failed");
	if (peal_cpu_list(cpus, 2) != 1 || cpus[0].number != *only)
		return wrong("more than one is listed");
	for (int asked = PEAL_SAME_CPU; asked <= PEAL_OTHER_NODE; asked++)
		if (peal_cpu_pair((enum peal_sharing)asked, pair) != PEAL_SAME_CPU ||
		    pair[0] != *only || pair[1] != *only)
			return wrong("CPUs %d and %d are a pair", pair[0], pair[1]);
	if (peal_cpu_choose(chosen, 4, -1, -1) != 1 || chosen[0] != *only || chosen[3] != *only)
		return wrong("CPU %d is chosen", chosen[3]);
	if (platform_cpus() != 1)
		return wrong("%u CPUs are counted", platform_cpus());
	return NULL;
}

START_TEST(nothing_outside_the_mask_is_chosen)
	{
		struct peal_cpu cpu;

		for (int i = 0; i < mine_count; i++)
			child_run(with_one_cpu, &mine[i]);
		ck_assert_int_eq(peal_cpu_find(mine[0], &cpu), 0);
		ck_assert_int_eq(cpu.allowed, 1);
		if (mine_count == 1 || cpu.core < 0) {
			skip("one CPU is allowed, or nothing is told of it");
			return;
		}
		ck_assert_int_eq(peal_cpu_pin(mine[1], NULL), 0);
		ck_assert_int_eq(peal_cpu_find(mine[0], &cpu), 0);
		ck_assert_int_eq(cpu.allowed, 0);
		/* It is not for this thread, and yet something can be near it. */
		ck_assert_int_eq(peal_cpu_choose(&mine_count, 1, mine[0], -1), 1);
		ck_assert_int_eq(mine_count, mine[1]);
	}
END_TEST

static const char *without_setaffinity(void *data)
{
	const struct filter *denial = data;
	struct peal_affinity *before = NULL;
	int count = platform_cpus() > 1 ? 2 : 1, pair[2];

	if (!filter_install(denial))
		return wrong("no filter: %s", strerror(errno));
	if (peal_cpu_pin(mine[0], &before) != -denial->err || before)
		return wrong("pinned");
	if (!strstr(peal_error(), "sched_setaffinity") || !strstr(peal_error(), "seccomp"))
		return wrong("another sentence");
	/* The rest goes on. */
	if (peal_cpu_list(NULL, 0) != mine_count || peal_cpu_pair(PEAL_SAME_LLC, pair) < 0 ||
	    peal_cpu_choose(pair, 2, -1, -1) != count)
		return wrong("CPUs cannot be chosen");
	return NULL;
}

static const char *without_getaffinity(void *data)
{
	const struct filter *denial = data;
	struct peal_affinity *before = NULL;
	struct peal_cpu cpu;
	int pair[2];

	if (!filter_install(denial))
		return wrong("no filter: %s", strerror(errno));
	if (peal_cpu_list(NULL, 0) != -denial->err || peal_cpu_find(0, &cpu) != -denial->err ||
	    peal_cpu_pair(PEAL_SAME_LLC, pair) != -denial->err ||
	    peal_cpu_choose(pair, 2, -1, -1) != -denial->err ||
	    peal_cpu_pin(mine[0], &before) != -denial->err || before)
		return wrong("answered");
	if (!strstr(peal_error(), "sched_getaffinity") || !strstr(peal_error(), "seccomp"))
		return wrong("another sentence");
	/* Who does not want its mask back can still be pinned; links think of two CPUs. */
	if (peal_cpu_pin(mine[0], NULL) || platform_cpus() != 2)
		return wrong("not pinned");
	return NULL;
}

START_TEST(a_filter_that_forbids_affinity_is_named)
	{
		struct filter denials[] = { { .call = SYS_sched_setaffinity, .err = EPERM },
					    { .call = SYS_sched_setaffinity, .err = ENOSYS },
					    { .call = SYS_sched_getaffinity, .err = EPERM },
					    { .call = SYS_sched_getaffinity, .err = ENOSYS } };

		/* Is answered with EFAULT where there are filters, as qemu-user has none. */
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != -1 || errno != EFAULT) {
			skip("no seccomp filters here: %s", strerror(errno));
			return;
		}
		for (int i = 0; i < 4; i++)
			child_run(i < 2 ? without_setaffinity : without_getaffinity, &denials[i]);
	}
END_TEST

static const char *without_descriptors(void *data)
{
	struct rlimit none = { 0, 0 };
	struct peal_cpu cpu;
	int pair[2];

	(void)data;
	setrlimit(RLIMIT_NOFILE, &none);
	if (peal_cpu_list(&cpu, 1) != -EMFILE || peal_cpu_find(mine[0], &cpu) != -EMFILE ||
	    peal_cpu_pair(PEAL_SAME_LLC, pair) != -EMFILE ||
	    peal_cpu_choose(pair, 2, -1, -1) != -EMFILE)
		return wrong("what cannot be read was read");
	if (!strstr(peal_error(), "ulimit -n"))
		return wrong("another sentence");
	return NULL;
}

START_TEST(no_descriptor_to_read_with_is_an_error_and_not_an_unknown_machine)
	{
		child_run(without_descriptors, NULL);
	}
END_TEST

/* Allocations of the calling thread that still succeed; below 0: all of them do. */
static __thread int allocations = -1;
static __thread int outstanding;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __real_free(void *at);
void __wrap_free(void *at);

static bool refused(void)
{
	if (allocations >= 0 && allocations-- == 0) {
		allocations = 0;
		return true;
	}
	return false;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *at = refused() ? NULL : __real_calloc(count, size);

	outstanding += at != NULL;
	return at;
}

void __wrap_free(void *at)
{
	outstanding -= at != NULL;
	__real_free(at);
}

static int try_one(int which, struct peal_affinity **before)
{
	struct peal_cpu cpu;
	int pair[2];

	switch (which) {
	case 0:
		return peal_cpu_list(&cpu, 1);
	case 1:
		return peal_cpu_find(mine[0], &cpu);
	case 2:
		return peal_cpu_pair(PEAL_SAME_LLC, pair);
	case 3:
		return peal_cpu_choose(pair, 2, mine[0], -1);
	default:
		return peal_cpu_pin(mine[0], before);
	}
}

START_TEST(whatever_allocation_fails_nothing_is_lost)
	{
		for (int which = 0; which < 5; which++) {
			struct peal_affinity *before = NULL;
			int result = -ENOMEM, failures = -1, left;

			for (; result == -ENOMEM; failures++) {
				ck_assert_int_lt(failures, 20);
				ck_assert_ptr_null(before);
				outstanding = 0;
				allocations = failures + 1;
				result = try_one(which, &before);
				allocations = -1;
				if (result != -ENOMEM)
					peal_cpu_unpin(before);
				left = outstanding; /* asserts allocate, too */
				ck_assert_msg(left == 0, "%d: %d are left", which, left);
				if (result == -ENOMEM)
					ck_assert_ptr_nonnull(strstr(peal_error(), "memory"));
			}
			ck_assert_int_ge(result, 0);
			ck_assert_int_ge(failures, 2);
		}
	}
END_TEST

static void *pin_and_look(void *data)
{
	const int32_t *cpu = data;

	for (int i = 0; i < 20; i++) {
		struct peal_affinity *before;

		if (peal_cpu_pin(*cpu, &before) || peal_cpu_list(NULL, 0) != 1 ||
		    sched_getcpu() != *cpu || peal_cpu_unpin(before) ||
		    peal_cpu_list(NULL, 0) != mine_count)
			return data;
	}
	return NULL;
}

START_TEST(each_thread_is_pinned_by_itself)
	{
		pthread_t threads[4];
		void *failed;

		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL, pin_and_look,
							&mine[i % mine_count]),
					 0);
		for (int i = 0; i < 4; i++) {
			ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
			ck_assert_ptr_null(failed);
		}
		ck_assert_int_eq(peal_cpu_list(NULL, 0), mine_count);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("placement");
	TCase *all = tcase_create("placement");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 30);
	tcase_add_test(all, siblings_share_a_core_and_all_of_a_laptop_its_cache);
	tcase_add_test(all, two_sockets_are_two_nodes_packages_and_caches);
	tcase_add_test(all, a_node_may_have_several_last_level_caches);
	tcase_add_test(all, without_an_l3_the_l2_is_the_last_level);
	tcase_add_test(all, what_is_not_told_is_not_made_up);
	tcase_add_test(all, what_is_not_told_of_is_not_said_to_be_apart);
	tcase_add_test(all, nonsense_in_a_file_is_not_told);
	tcase_add_test(all, older_kernels_name_the_siblings_otherwise);
	tcase_add_test(all, cpus_that_are_offline_or_missing_are_not_there);
	tcase_add_test(all, a_cpu_that_goes_while_all_are_read_is_one_that_nothing_is_told_of);
	tcase_add_test(all, numbers_may_have_holes_and_go_beyond_1023);
	tcase_add_test(all, a_pair_is_what_was_asked_for_where_there_is_one);
	tcase_add_test(all, caches_within_a_node_are_told_apart);
	tcase_add_test(all, a_pair_falls_back_to_what_is_there);
	tcase_add_test(all, one_cpu_is_shared_by_all);
	tcase_add_test(all, big_cores_come_before_little_ones);
	tcase_add_test(all, nodes_that_divide_a_package_are_other_nodes);
	tcase_add_test(all, threads_get_cores_of_their_own_before_siblings);
	tcase_add_test(all, threads_stay_together_or_near_what_they_are_to_be_near);
	tcase_add_test(all, only_cpus_that_may_be_used_are_chosen);
	tcase_add_test(all, lists_of_cpus_are_written_as_ranges_and_say_when_they_are_cut);
	tcase_add_test(all, all_cpus_that_may_be_used_are_listed);
	tcase_add_test(all, what_is_chosen_here_may_be_used_and_is_what_it_is_said_to_be);
	tcase_add_test(all, wrong_arguments_are_refused_with_a_sentence);
	tcase_add_test(all, a_thread_is_pinned_and_gets_its_mask_back);
	tcase_add_test(all, a_cpu_that_is_not_there_is_no_place_to_be_pinned_to);
	tcase_add_test(all, masks_are_as_large_as_the_kernel_needs);
	tcase_add_test(all, who_cannot_be_unpinned_is_told_why);
	tcase_add_test(all, nothing_outside_the_mask_is_chosen);
	tcase_add_test(all, a_filter_that_forbids_affinity_is_named);
	tcase_add_test(all, no_descriptor_to_read_with_is_an_error_and_not_an_unknown_machine);
	tcase_add_test(all, whatever_allocation_fails_nothing_is_lost);
	tcase_add_test(all, each_thread_is_pinned_by_itself);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
