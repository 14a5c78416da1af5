/*
 * SPDX-License-Identifier: MIT
 *
 * "huge": the kernel's pools of huge pages, by size and node: shown, filled, and given back. What
 * it changes, undo puts back too.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/number.h"
#include "tools/peal-tune/change.h"
#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/journal.h"
#include "tools/peal-tune/look.h"
#include "tools/peal-tune/outcome.h"
#include "tools/peal-tune/persist.h"
#include "tools/peal-tune/report.h"
#include "tools/peal-tune/tell.h"
#include "tools/standard.h"

#define POOLS "/sys/kernel/mm/hugepages"
#define NODES "/sys/devices/system/node"
#define HUGE_ID "huge"
#define CAPABILITY "CAP_DAC_OVERRIDE"

/* One size on one node. */
struct pool {
	uint64_t size; /* of a page, bytes */
	int node;      /* -1: of the machine */
	char *folder;
	uint64_t all, unused, surplus;
	uint64_t reserved;   /* of the machine, as nodes do not tell: promised, and still unused */
	uint64_t overcommit; /* of the machine */
};

struct pools {
	struct pool *all;
	unsigned count;
};

static uint64_t count_in(const struct tree *tree, const char *folder, const char *name)
{
	char *path = NULL;
	int64_t value;
	int err;

	text_set(&path, "%s/%s", folder, name);
	err = tree_number(tree, path, &value);
	free(path);
	return err || value < 0 ? 0 : (uint64_t)value;
}

static void read_counts(const struct tree *tree, struct pool *pool)
{
	char *folder = NULL;

	text_set(&folder, POOLS "/hugepages-%" PRIu64 "kB", pool->size / 1024);
	pool->all = count_in(tree, pool->folder, "nr_hugepages");
	pool->unused = count_in(tree, pool->folder, "free_hugepages");
	/* One that grows between the two. */
	if (pool->unused > pool->all)
		pool->unused = pool->all;
	pool->surplus = count_in(tree, pool->folder, "surplus_hugepages");
	pool->reserved = count_in(tree, folder, "resv_hugepages");
	pool->overcommit = count_in(tree, folder, "nr_overcommit_hugepages");
	free(folder);
}

static void add_pool(const struct tree *tree, struct pools *pools, uint64_t kib, int node)
{
	struct pool pool = { .size = kib * 1024, .node = node };
	struct pool *all;
	char *path = NULL;

	if (node < 0)
		text_set(&pool.folder, POOLS "/hugepages-%" PRIu64 "kB", kib);
	else
		text_set(&pool.folder, NODES "/node%d/hugepages/hugepages-%" PRIu64 "kB", node,
			 kib);
	text_set(&path, "%s/nr_hugepages", pool.folder);
	all = tree_has(tree, path) ? NULL :
				     realloc(pools->all, (pools->count + 1) * sizeof(*pools->all));
	free(path);
	if (!all) {
		free(pool.folder);
		return;
	}
	read_counts(tree, &pool);
	pools->all = all;
	all[pools->count++] = pool;
}

/* All pools, by size; of each the nodes', or the machine's where there are none. 0, or -ENOENT. */
static int read_pools(const struct tree *tree, struct pools *pools)
{
	char **sizes, **nodes = NULL, end;
	unsigned long long kib;
	int err = tree_list(tree, POOLS, &sizes), node;

	*pools = (struct pools){ NULL, 0 };
	if (err)
		return err;
	if (tree_list(tree, NODES, &nodes))
		nodes = NULL;
	for (char **size = sizes; *size; size++) {
		unsigned before = pools->count;

		if (sscanf(*size, "hugepages-%llukB%c", &kib, &end) != 1 || kib - 1 >= 1ULL << 40)
			continue;
		for (char **name = nodes; name && *name; name++)
			if (sscanf(*name, "node%d%c", &node, &end) == 1)
				add_pool(tree, pools, kib, node);
		if (pools->count == before)
			add_pool(tree, pools, kib, -1);
	}
	free(nodes);
	free(sizes);
	return pools->count ? 0 : -ENOENT;
}

static void free_pools(struct pools *pools)
{
	for (unsigned i = 0; i < pools->count; i++)
		free(pools->all[i].folder);
	free(pools->all);
}

/* Free, and promised to nobody: a promise may be kept from any node. */
static uint64_t available(const struct pool *pool)
{
	return pool->unused > pool->reserved ? pool->unused - pool->reserved : 0;
}

static uint64_t pages_of(uint64_t bytes, uint64_t size)
{
	return bytes / size + (bytes % size != 0);
}

static void print_scope(const struct pool *pool, char *scope, size_t size)
{
	char text[SIZE_TEXT];

	print_size(pool->size, text);
	if (pool->node < 0)
		snprintf(scope, size, "%s", text);
	else
		snprintf(scope, size, "node%d %s", pool->node, text);
}

static int no_pools(void)
{
	fputs("peal-tune: this kernel has no pools of huge pages (no " POOLS
	      "): transparent ones may do, see peal-tune explain\n",
	      stderr);
	return EXIT_IN_PART;
}

/* size: 0 for any. */
static bool is_meant(const struct machine *machine, const struct pool *pool, uint64_t size)
{
	int node = machine->wish.node;

	return (!size || pool->size == size) && (node < 0 || pool->node == node);
}

/* --- list ------------------------------------------------------------------------------------- */

static void list_json(const struct machine *machine, const struct pools *pools, uint64_t size)
{
	struct json json;

	report_begin_json(&json, "huge", machine);
	json_array(&json, "pools");
	for (unsigned i = 0; i < pools->count; i++) {
		const struct pool *pool = &pools->all[i];

		if (!is_meant(machine, pool, size))
			continue;
		json_object(&json, NULL);
		json_integer(&json, "size", pool->size);
		if (pool->node >= 0)
			json_integer(&json, "node", (uint64_t)pool->node);
		json_integer(&json, "total", pool->all);
		json_integer(&json, "free", pool->unused);
		json_integer(&json, "surplus", pool->surplus);
		json_integer(&json, "reserved", pool->reserved);
		json_integer(&json, "overcommit", pool->overcommit);
		json_integer(&json, "need", pages_of(machine->wish.bytes, pool->size));
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
}

static void list_text(const struct machine *machine, const struct pools *pools, uint64_t size)
{
	uint64_t bytes = machine->wish.bytes;
	char text[SIZE_TEXT], node[16];

	printf("%-10s%6s%10s%10s%10s%10s%12s%s\n", "size", "node", "total", "free", "surplus",
	       "reserved", "overcommit", bytes ? "      need" : "");
	for (unsigned i = 0; i < pools->count; i++) {
		const struct pool *pool = &pools->all[i];

		if (!is_meant(machine, pool, size))
			continue;
		snprintf(node, sizeof(node), "%d", pool->node);
		printf("%-10s%6s%10" PRIu64 "%10" PRIu64 "%10" PRIu64 "%10" PRIu64 "%12" PRIu64,
		       print_size(pool->size, text), pool->node < 0 ? "-" : node, pool->all,
		       pool->unused, pool->surplus, pool->reserved, pool->overcommit);
		if (bytes)
			printf("%10" PRIu64, pages_of(bytes, pool->size));
		putchar('\n');
	}
	puts("reserved and overcommit are of all nodes together");
}

static int list(const struct common *common, const struct machine *machine, uint64_t size)
{
	struct pools pools;

	if (read_pools(&machine->tree, &pools) && !common->json)
		return no_pools();
	if (common->json)
		list_json(machine, &pools, size);
	else
		list_text(machine, &pools, size);
	free_pools(&pools);
	return EXIT_FINE;
}

/* --- why fewer -------------------------------------------------------------------------------- */

/* Free memory of a node, or of the machine; UINT64_MAX: not known. */
static uint64_t free_memory(const struct tree *tree, int node)
{
	char *path = NULL, *text, *at;
	uint64_t kib = UINT64_MAX;

	if (node < 0)
		text_set(&path, "/proc/meminfo");
	else
		text_set(&path, NODES "/node%d/meminfo", node);
	if (tree_read(tree, path, &text) >= 0) {
		at = strstr(text, "MemFree:");
		if (at)
			kib = strtoull(at + strlen("MemFree:"), NULL, 10);
		free(text);
	}
	free(path);
	return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

/* How many pieces of this size or above are free, by the counts of each order in a line of
 * /proc/buddyinfo: "Node 0, zone Normal 12 3 ..."; false: that is not known. */
static bool free_pieces(const struct tree *tree, int node, uint64_t size, uint64_t *pieces)
{
	char *text, *rest, *line;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	*pieces = 0;
	if (tree_read(tree, "/proc/buddyinfo", &text) < 0)
		return false;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		char *zone = strstr(line, "zone"), *word;
		uint64_t bytes = page;

		if (!zone ||
		    (node >= 0 && strtol(line + strcspn(line, "0123456789"), NULL, 10) != node))
			continue;
		zone += strlen("zone");
		zone += strspn(zone, " ");
		zone += strcspn(zone, " ");
		while ((word = strsep(&zone, " "))) {
			if (!*word)
				continue;
			if (bytes >= size)
				*pieces += strtoull(word, NULL, 10) * (bytes / size);
			bytes *= 2;
		}
	}
	free(text);
	return true;
}

/* Says why the pool did not take what was wanted, and what would help. */
static void explain_fewer(const struct tree *tree, const struct pool *pool, uint64_t missing,
			  struct outcome *outcome)
{
	uint64_t unused = free_memory(tree, pool->node), pieces;
	char size[SIZE_TEXT], have[SIZE_TEXT];
	bool known = free_pieces(tree, pool->node, pool->size, &pieces);

	print_size(pool->size, size);
	if (unused != UINT64_MAX && unused / pool->size < missing)
		text_set(&outcome->why,
			 "%" PRIu64
			 " are missing: too little memory is free (%s); end something or "
			 "boot with hugepagesz=%" PRIu64 "K hugepages=%s",
			 missing, print_size(unused, have), pool->size / 1024, outcome->wanted);
	else
		text_set(&outcome->why,
			 "%" PRIu64 " are missing: free memory is in pieces smaller than %s%s; try "
			 "\"echo 1 > /proc/sys/vm/compact_memory\" and again, or boot with "
			 "hugepagesz=%" PRIu64 "K hugepages=%s",
			 missing, size, known && pieces ? ", but for few" : "", pool->size / 1024,
			 outcome->wanted);
	if (pool->overcommit)
		text_set(&outcome->why,
			 "%s; up to %" PRIu64
			 " more are made when they are used, if that can be had then "
			 "(nr_overcommit_hugepages)",
			 outcome->why, pool->overcommit);
}

/* --- changing --------------------------------------------------------------------------------- */

struct order {
	uint64_t size;  /* of a page; 0: the machine's own */
	uint64_t pages; /* 0: by bytes, or (of release) all of ours */
};

struct work {
	const struct machine *machine;
	struct pools pools;
	struct journal journal;
	struct outcomes outcomes;
	struct persist_lines lines;
};

/* Writes a pool's number of pages. 0, or a negative errno of the journal; *got: what it is now. */
static int set_pool(struct work *work, const struct pool *pool, uint64_t pages, uint64_t *got)
{
	struct change change = { .id = HUGE_ID,
				 .persist = PERSIST_TMPFILES,
				 .capability = CAPABILITY };
	struct outcome outcome;
	char *path = NULL, *value = NULL, scope[64];
	bool plan = work->outcomes.common->dry_run;
	int64_t now;
	int err = 0;

	text_set(&path, "%s/nr_hugepages", pool->folder);
	text_set(&value, "%" PRIu64, pages);
	change.path = path;
	change.value = value;
	persist_add(&work->lines, change.persist, path, value);
	if (plan)
		change_plan(&work->machine->tree, &change, &outcome);
	else
		err = change_make(&work->journal, &change, &outcome);
	/* Also what was written before the journal failed. */
	if (outcome.wanted) {
		*got = plan ? pages : pool->all;
		if (outcome.now && !parse_number(outcome.now, &now) && now >= 0)
			*got = (uint64_t)now;
		/* One that did not move at all is as short of memory as one that came half-way. */
		if (*got < pages && outcome.now &&
		    (outcome.result == RESULT_PARTLY || outcome.result == RESULT_FAILED))
			explain_fewer(&work->machine->tree, pool, pages - *got, &outcome);
		print_scope(pool, scope, sizeof(scope));
		outcomes_add(&work->outcomes, HUGE_ID, scope, path, &outcome);
	}
	free(value);
	free(path);
	return err;
}

/* So many pages are to be free: what is there already counts. Several nodes get their share each,
 * and what one cannot give is asked of those behind it. */
static int reserve(struct work *work, const struct order *order)
{
	uint64_t left, more, nodes = 0, unused = 0, promised = 0;
	int err = 0;

	for (unsigned i = 0; i < work->pools.count; i++) {
		const struct pool *pool = &work->pools.all[i];

		if (!is_meant(work->machine, pool, order->size))
			continue;
		nodes++;
		unused += pool->unused;
		promised = pool->reserved;
	}
	unused -= unused < promised ? unused : promised;
	left = order->pages > unused ? order->pages - unused : 0;
	for (unsigned i = 0; i < work->pools.count && left && nodes && !err; i++) {
		const struct pool *pool = &work->pools.all[i];
		uint64_t share, got = 0;

		if (!is_meant(work->machine, pool, order->size))
			continue;
		share = left / nodes + (left % nodes != 0);
		nodes--;
		err = set_pool(work, pool, pool->all + share, &got);
		more = got > pool->all ? got - pool->all : 0;
		left -= more < left ? more : left;
	}
	return err;
}

/* What the journal says that peal-tune has put into a pool; what others have added since is
 * theirs. */
static uint64_t reserved_by_us(const struct work *work, const struct pool *pool)
{
	const struct journal_entry *entry;
	char *path = NULL;
	int64_t old, last;

	text_set(&path, "%s/nr_hugepages", pool->folder);
	entry = journal_find(&work->journal, path);
	free(path);
	if (!entry || !journal_entry_is_of(entry, HUGE_ID) || parse_number(entry->old, &old) ||
	    parse_number(entry->known ? entry->seen : entry->value, &last) || old < 0 ||
	    last < old || pool->all < (uint64_t)old)
		return 0;
	last -= old;
	return pool->all - (uint64_t)old < (uint64_t)last ? pool->all - (uint64_t)old :
							    (uint64_t)last;
}

/* Gives back so many, or all that peal-tune has reserved: never one that is in use or promised. */
static int release(struct work *work, const struct order *order)
{
	uint64_t left = order->pages, stay = 0, got;
	int err = 0;

	for (unsigned i = 0; i < work->pools.count && !err; i++) {
		const struct pool *pool = &work->pools.all[i];
		uint64_t less = order->pages ? left : reserved_by_us(work, pool);

		if (!is_meant(work->machine, pool, order->size))
			continue;
		if (less > available(pool)) {
			stay += less - available(pool);
			less = available(pool);
		}
		left -= order->pages ? less : 0;
		if (less)
			err = set_pool(work, pool, pool->all - less, &got);
	}
	if (order->pages)
		stay = left;
	if (!err && stay) {
		struct outcome outcome = { .result = RESULT_PARTLY };

		text_set(&outcome.why,
			 "%" PRIu64 " pages are not there, in use or promised, and stay as they "
			 "are: release them when who has them has ended",
			 stay);
		outcomes_add(&work->outcomes, HUGE_ID, "", POOLS, &outcome);
	}
	return err;
}

/* Keeps others from the pools, and reads what is in them by now. Who may write none of them need
 * not. */
static int lock_pools(struct work *work, const struct order *order, bool make)
{
	char *path = NULL;
	bool may = false;
	int err = 0;

	for (unsigned i = 0; i < work->pools.count; i++) {
		const struct pool *pool = &work->pools.all[i];

		text_set(&path, "%s/nr_hugepages", pool->folder);
		may |= is_meant(work->machine, pool, order->size) &&
		       !change_may_write(&work->machine->tree, path);
	}
	free(path);
	err = journal_open(&work->journal, make && may);
	for (unsigned i = 0; i < work->pools.count; i++)
		read_counts(&work->machine->tree, &work->pools.all[i]);
	return err == -ENOENT ? 0 : err;
}

/* Pools that were right already are to be so after the next boot. */
static void persist_all(struct work *work, const struct order *order, const char *had)
{
	for (unsigned i = 0; i < work->pools.count; i++) {
		struct pool *pool = &work->pools.all[i];
		char *path = NULL, *value = NULL, *line = NULL;

		text_set(&path, "%s/nr_hugepages", pool->folder);
		text_set(&line, "\nw %s ", path);
		if (is_meant(work->machine, pool, order->size) &&
		    !persist_has(&work->lines, path) && (pool->all || strstr(had, line))) {
			text_set(&value, "%" PRIu64, pool->all);
			persist_add(&work->lines, PERSIST_TMPFILES, path, value);
		}
		free(line);
		free(value);
		free(path);
	}
}

/* Lines that another time made, and that fill a pool again at the next boot. */
static void tell_lines(struct work *work, const struct order *order, const char *had)
{
	for (unsigned i = 0; i < work->pools.count; i++) {
		struct pool *pool = &work->pools.all[i];
		char *line = NULL, scope[64];
		const char *at;
		uint64_t pages;

		text_set(&line, "\nw %s/nr_hugepages - - - - ", pool->folder);
		print_scope(pool, scope, sizeof(scope));
		at = strstr(had, line);
		pages = at ? strtoull(at + strlen(line), NULL, 10) : 0;
		read_counts(&work->machine->tree, pool);
		if (is_meant(work->machine, pool, order->size) && pages > pool->all)
			outcomes_by_hand(&work->outcomes, HUGE_ID, scope, "setting",
					 PERSIST_FILE " fills this pool again at the next boot: "
						      "peal-tune huge release --persist");
		free(line);
	}
}

/* The pool may have pages that a control group does not let its members use. */
static void tell_cgroup(const struct machine *machine, const struct order *order,
			struct outcomes *outcomes)
{
	char size[SIZE_TEXT], *text = NULL;
	struct room room;

	find_huge_room(machine, order->size / 1024, &room);
	if (!*room.path || room.err || room.bytes / order->size >= order->pages)
		return;
	text_set(&text, "raise %s: its programs may use %s more of such pages", room.path,
		 print_size(room.bytes, size));
	outcomes_by_hand(outcomes, HUGE_ID, "", "cgroup", text);
	free(text);
}

/* --- the command ------------------------------------------------------------------------------ */

static int refuse(const char *format, const char *value)
{
	fputs("peal-tune: ", stderr);
	fprintf(stderr, format, value);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

/* 0 or an exit code. */
static int take_order(int argc, char **argv, struct order *order)
{
	static const struct option known[] = {
		{ "pages", required_argument, NULL, 'p' },
		{ "size", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			if (!number_read(optarg, 1024, &order->pages) || !order->pages ||
			    order->pages > UINT32_MAX)
				return refuse("pages \"%s\": give a number from 1 to 4294967295",
					      optarg);
			break;
		case 's':
			if (!number_read(optarg, 1024, &order->size) || !order->size)
				return refuse("size \"%s\": give that of a page, such as 2m or 1g",
					      optarg);
			break;
		default:
			return tell_option(option, standard_option(argv));
		}
	}
	return optind < argc ? tell_argument(argv[optind]) : 0;
}

/* What the order leaves open; 0 or an exit code. */
static int complete_order(const struct work *work, bool is_reserve, struct order *order)
{
	uint64_t bytes = work->machine->wish.bytes;
	char size[SIZE_TEXT];

	if (order->pages && bytes)
		return refuse("%s and --bytes say the same: give one", "--pages");
	if (!order->size && (is_reserve || order->pages || bytes))
		order->size = default_kib(work->machine) * 1024;
	if (bytes)
		order->pages = pages_of(bytes, order->size);
	if (is_reserve && !order->pages)
		return refuse("how much is to be %s? Give --pages N or --bytes SIZE", "reserved");
	for (unsigned i = 0; i < work->pools.count; i++)
		if (is_meant(work->machine, &work->pools.all[i], order->size))
			return 0;
	fprintf(stderr,
		"peal-tune: there are no huge pages of %s%s here: peal-tune huge list shows what "
		"there is\n",
		order->size ? print_size(order->size, size) : "any size",
		work->machine->wish.node < 0 ? "" : " on that node");
	return EXIT_USAGE;
}

/* "reserve" and "release". */
static int change_pools(const struct common *common, const struct machine *machine, bool is_reserve,
			struct order *order)
{
	struct work work = { .machine = machine };
	char *had = NULL, *whole = NULL;
	int code, err = 0;

	if (read_pools(&machine->tree, &work.pools))
		return no_pools();
	code = complete_order(&work, is_reserve, order);
	if (code) {
		free_pools(&work.pools);
		return code;
	}
	journal_init(&work.journal, &machine->tree);
	tree_read(&machine->tree, PERSIST_FILE, &whole);
	text_set(&had, "\n%s", whole ? whole : "");
	outcomes_begin(&work.outcomes, "huge", common, machine);
	if (!common->dry_run)
		err = lock_pools(&work, order, is_reserve || order->pages);
	else if (!is_reserve && (err = journal_open(&work.journal, false)) == -ENOENT)
		err = 0;
	if (!err)
		err = is_reserve ? reserve(&work, order) : release(&work, order);
	if (!err && common->persist) {
		persist_all(&work, order, had);
		err = persist_write(&work.journal, &work.lines, &work.outcomes);
	}
	work.outcomes.broken = err != 0;
	outcomes_close(&work.outcomes);
	outcomes_begin_by_hand(&work.outcomes);
	if (is_reserve)
		tell_cgroup(machine, order, &work.outcomes);
	else if (!common->persist)
		tell_lines(&work, order, had);
	outcomes_close(&work.outcomes);
	journal_close(&work.journal);
	persist_free(&work.lines);
	free_pools(&work.pools);
	free(whole);
	free(had);
	return outcomes_end(&work.outcomes, is_reserve ? "there are so many free pages already" :
							 "there is nothing to give back");
}

int command_huge(const struct common *common, int argc, char **argv)
{
	struct machine machine;
	struct order order = { 0, 0 };
	const char *what = argc > 1 ? argv[1] : "";
	bool is_reserve = !strcmp(what, "reserve"), is_list = !strcmp(what, "list");
	int code;

	if (!is_list && !is_reserve && strcmp(what, "release") != 0)
		return refuse("huge \"%s\": give list, reserve or release", what);
	code = take_order(argc - 1, argv + 1, &order);
	if (!code && is_list && (order.pages || common->dry_run || common->persist))
		code = refuse("huge %s changes nothing: --pages, --dry-run and --persist are for "
			      "reserve and release",
			      what);
	if (!code)
		code = take_machine(common, &machine);
	if (code)
		return code;
	if (is_list)
		return list(common, &machine, order.size);
	return change_pools(common, &machine, is_reserve, &order);
}
