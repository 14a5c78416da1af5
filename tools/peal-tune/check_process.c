/*
 * SPDX-License-Identifier: MIT
 *
 * Checks of one process: what it may do, and where the rings are that it has mapped.
 */
#define _GNU_SOURCE /* strsep */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/look.h"

/* What is asked for: above that of most that the system itself runs. */
#define PRIORITY 50

void look_rtprio(const struct check *check, const struct machine *machine,
		 struct findings *findings)
{
	char path[64];
	uint64_t soft, hard;
	int err = read_rlimit(machine, "Max realtime priority", path, &soft, &hard);
	struct finding *finding = finding_add(findings, check,
					      err ? status_of_error(err) : STATUS_OK, "", path);

	if (err)
		return;
	if (soft == UINT64_MAX)
		finding_current(finding, "unlimited");
	else
		finding_current(finding, "%" PRIu64, soft);
	finding_wanted(finding, "at least 1, or CAP_SYS_NICE");
	if (!soft && has_capability(machine, CAP_SYS_NICE))
		finding_current(finding, "0, and CAP_SYS_NICE");
	if (soft || has_capability(machine, CAP_SYS_NICE))
		return;
	finding->status = check->bad;
	finding_why(finding, "%s", check->harm);
	fix_rlimit(finding, machine, "-r", "rtprio", 1, PRIORITY, hard);
}

/* --- where rings are -------------------------------------------------------------------------- */

/* The name that the library gives memory that is shared. */
static const char ring_name[] = "/memfd:peal";

/* "/memfd:peal (deleted)", the space of which may be "\040". */
static bool is_ring(const char *name)
{
	const char *end = name + strlen(ring_name);

	return !strncmp(name, ring_name, strlen(ring_name)) && (!*end || strchr(" \\\n", *end));
}

/* Whoever may not trace it may not read it. */
static bool read_maps(const struct check *check, const struct machine *machine,
		      struct findings *findings, const char *name, char *path, char **text)
{
	struct finding *finding;
	int err;

	snprintf(path, TREE_PATH, "%s/%s", machine->process, name);
	if (!machine->wish.pid) {
		finding = finding_add(findings, check, STATUS_ABSENT, "", path);
		finding_why(finding, "no process was given: --pid");
		return false;
	}
	err = (int)tree_read(&machine->tree, path, text);
	if (err >= 0)
		return true;
	finding = finding_add(findings, check, status_of_error(err), "", path);
	if (err == -EFBIG)
		finding_why(finding, "the process has too many mappings to look at them all");
	if (finding->status == STATUS_DENIED)
		finding->fix.capability = "CAP_SYS_PTRACE";
	return false;
}

static void add_no_rings(const struct check *check, struct findings *findings, const char *path)
{
	struct finding *finding = finding_add(findings, check, STATUS_ABSENT, "", path);

	finding_why(finding, "the process has no memory of Peal");
}

/* Linux has at most so many. */
#define NODES_MAX 1024

/* The words of one line of numa_maps: adds the bytes on each node. */
static void count_line(char *line, uint64_t *bytes, struct cpus *nodes)
{
	static const char key[] = " kernelpagesize_kB=";
	const char *last = strstr(line, key);
	uint64_t page = 4096, number;
	unsigned node;
	char *word;

	if (last && sscanf(last + strlen(key), "%" SCNu64, &number) == 1)
		page = number << 10;
	while ((word = strsep(&line, " "))) {
		if (sscanf(word, "N%u=%" SCNu64, &node, &number) != 2 || node >= NODES_MAX)
			continue;
		bytes[node] += number * page;
		if (number)
			cpus_add(nodes, node);
	}
}

/* "7f2c00000000 bind:0 file=...": adds the policy to those that are told. */
static void add_policy(const char *line, char *policies, size_t size)
{
	const char *start = strchr(line, ' ') + 1;
	size_t used = strlen(policies), length = strcspn(start, " ");
	char word[64];

	if (length >= sizeof(word))
		return;
	memcpy(word, start, length);
	word[length] = '\0';
	if (!strstr(policies, word))
		snprintf(policies + used, size - used, "%s%s", used ? ", " : "", word);
}

static bool count_rings(char *text, uint64_t *bytes, struct cpus *nodes, char policies[128])
{
	bool any = false;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *file = strstr(line, " file=");

		if (!file || !is_ring(file + strlen(" file=")))
			continue;
		any = true;
		add_policy(line, policies, 128);
		count_line(line, bytes, nodes);
	}
	return any;
}

/* The nodes of the CPUs that its threads may use. */
static int nodes_of_threads(const struct machine *machine, struct cpus *nodes)
{
	char path[TREE_PATH], **tasks, *text, list[CPUS_TEXT];
	struct cpus cpus = { { 0 } }, online, more;
	int err;

	memset(nodes, 0, sizeof(*nodes));
	snprintf(path, sizeof(path), "%s/task", machine->process);
	err = tree_list(&machine->tree, path, &tasks);
	if (err)
		return err;
	for (unsigned i = 0; tasks[i]; i++) {
		snprintf(path, sizeof(path), "%s/task/%.16s/status", machine->process, tasks[i]);
		if (tree_read(&machine->tree, path, &text) < 0)
			continue; /* it has ended */
		if (!parse_field(text, "Cpus_allowed_list", list, sizeof(list)) &&
		    !parse_cpus(list, &more))
			for (unsigned k = 0; k < CPUS_MAX / 64; k++)
				cpus.bits[k] |= more.bits[k];
		free(text);
	}
	free(tasks);
	err = tree_cpus(&machine->tree, "/sys/devices/system/node/online", &online);
	for (unsigned node = cpus_next(&online, 0); !err && node < CPUS_MAX;
	     node = cpus_next(&online, node + 1)) {
		tree_path(path, "/sys/devices/system/node/node*/cpulist", node);
		err = tree_cpus(&machine->tree, path, &more);
		if (!err && cpus_meet(&more, &cpus))
			cpus_add(nodes, node);
	}
	return err;
}

void look_ring_nodes(const struct check *check, const struct machine *machine,
		     struct findings *findings)
{
	char path[TREE_PATH], *text, list[128], from[128], policies[128] = "";
	uint64_t bytes[NODES_MAX] = { 0 }, total = 0;
	struct cpus nodes = { { 0 } }, wanted, away;
	struct finding *finding;
	bool any;
	int err;

	if (!read_maps(check, machine, findings, "numa_maps", path, &text))
		return;
	any = count_rings(text, bytes, &nodes, policies);
	free(text);
	if (!any) {
		add_no_rings(check, findings, path);
		return;
	}
	err = nodes_of_threads(machine, &wanted);
	finding = finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "", path);
	if (err)
		return;
	if (machine->wish.node >= 0) {
		memset(&wanted, 0, sizeof(wanted));
		cpus_add(&wanted, (unsigned)machine->wish.node);
	}
	for (unsigned node = 0; node < NODES_MAX; node++)
		total += bytes[node];
	for (unsigned node = 0; node < NODES_MAX; node++)
		if (bytes[node])
			finding_current(finding, "%s%snode %u %.0f %%", finding->current,
					*finding->current ? ", " : "", node,
					(double)bytes[node] * 100 / (double)total);
	finding_current(finding, "%s%spolicy %s", finding->current, *finding->current ? ", " : "",
			policies);
	print_cpus(&wanted, list, sizeof(list));
	finding_wanted(finding, "node %s", list);
	away = nodes;
	cpus_less(&away, &wanted);
	if (!cpus_count(&away))
		return;
	finding->status = check->bad;
	finding_why(finding, "%s", check->harm);
	print_cpus(&away, from, sizeof(from));
	if (cpus_count(&wanted) == 1)
		fix_command(finding, "CAP_SYS_NICE", "migratepages %" PRId64 " %s %s",
			    machine->wish.pid, from, list);
}

/* kB behind a key of smaps; 0 where there is none. */
static uint64_t kilobytes(const char *text, const char *key)
{
	char value[32];

	return parse_field(text, key, value, sizeof(value)) ? 0 : strtoull(value, NULL, 10);
}

/* Only what is as large as a huge page could be on one. */
#define HUGE_KB 2048u

void look_ring_pages(const struct check *check, const struct machine *machine,
		     struct findings *findings)
{
	char path[TREE_PATH], *text, *next;
	uint64_t large = 0, huge = 0;
	struct finding *finding;
	bool any = false;

	if (!read_maps(check, machine, findings, "smaps", path, &text))
		return;
	/* A mapping is a line of addresses and its name, and the lines of its figures. */
	for (char *area = text; area && *area; area = next) {
		const char *name = strchr(area, '/');
		char *flags = strstr(area, "\nVmFlags:");
		uint64_t size, pages;

		next = flags ? strchr(flags + 1, '\n') : NULL;
		if (next)
			*next++ = '\0';
		if (!name || name > area + strcspn(area, "\n") || !is_ring(name))
			continue;
		any = true;
		size = kilobytes(area, "Size");
		pages = kilobytes(area, "KernelPageSize");
		if (size < HUGE_KB)
			continue;
		large += size;
		huge += pages >= HUGE_KB ? size : kilobytes(area, "ShmemPmdMapped");
	}
	free(text);
	if (!any) {
		add_no_rings(check, findings, path);
		return;
	}
	finding = finding_add(findings, check, STATUS_OK, "", path);
	if (!large) {
		finding_current(finding, "all of it is smaller than a huge page");
		return;
	}
	finding_current(finding, "%.0f %% on huge pages", (double)huge * 100 / (double)large);
	finding_wanted(finding, "100 %%");
	if (huge >= large)
		return;
	finding->status = check->bad;
	finding_why(finding, "%s", check->harm);
}
