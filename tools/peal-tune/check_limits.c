/*
 * SPDX-License-Identifier: MIT
 *
 * Checks of what a process may have (descriptors, mappings, pipes, capabilities), and of what it
 * runs under.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_LIBCAP
#include <sys/capability.h>
#endif

#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/look.h"

/* What a program has beside its clients. */
#define OWN_DESCRIPTORS 64
#define OWN_MAPPINGS 1024
/* What a machine has open beside. */
#define OWN_FILES 4096
/* Of a pipe, unless it is made smaller. */
#define PIPE_PAGES 16

int read_rlimit(const struct machine *machine, const char *name, char path[64], uint64_t *soft,
		uint64_t *hard)
{
	char *text;
	int64_t length;
	int err;

	snprintf(path, 64, "%s/limits", machine->process);
	length = tree_read(&machine->tree, path, &text);
	if (length < 0)
		return (int)length;
	err = parse_rlimit(text, name, soft, hard);
	free(text);
	return err;
}

bool has_capability(const struct machine *machine, unsigned capability)
{
	return !machine->confined && (machine->capabilities >> capability & 1);
}

void fix_rlimit(struct finding *finding, const struct machine *machine, const char *option,
		const char *name, unsigned unit, uint64_t want, uint64_t hard)
{
	uint64_t units = (want + unit - 1) / unit;
	bool has_room = hard >= want;
	const char *capability = has_room || has_capability(machine, CAP_SYS_RESOURCE) ?
					 NULL :
					 "CAP_SYS_RESOURCE";

	/* The hard limit is not to be lowered. */
	if (machine->wish.pid)
		fix_command(finding, capability, "prlimit --pid %" PRId64 " --%s=%" PRIu64 "%s",
			    machine->wish.pid, name, units * unit, has_room ? ":" : "");
	else
		fix_command(finding, capability, "ulimit %s%s %" PRIu64, has_room ? "-S " : "",
			    option, units);
	fix_persist(finding, PERSIST_LIMITS, "* %s %s %" PRIu64, has_room ? "soft" : "-", name,
		    units);
}

void look_nofile(const struct check *check, const struct machine *machine,
		 struct findings *findings)
{
	uint64_t need = machine->wish.clients * CLIENT_DESCRIPTORS + OWN_DESCRIPTORS, soft, hard;
	char path[64];
	int err = read_rlimit(machine, "Max open files", path, &soft, &hard);
	struct finding *finding = finding_add(findings, check,
					      err ? status_of_error(err) : STATUS_OK, "", path);

	if (err)
		return;
	finding_current(finding, "%" PRIu64, soft);
	finding_wanted(finding, "at least %" PRIu64, need);
	if (soft >= need)
		return;
	finding->status = hard >= need ? STATUS_WARN : STATUS_FAIL;
	finding_why(finding,
		    "a server is out of descriptors after some %" PRIu64
		    " clients, and refuses those who come later",
		    soft > OWN_DESCRIPTORS ? (soft - OWN_DESCRIPTORS) / CLIENT_DESCRIPTORS : 0);
	fix_rlimit(finding, machine, "-n", "nofile", 1, need, hard);
}

/* A number of /proc/sys that must be at least need; none may stand for no limit. */
static void look_sysctl(const struct check *check, const struct machine *machine,
			struct findings *findings, const char *path, uint64_t need, bool none,
			const char *harm)
{
	uint64_t limit;
	int err = read_limit(machine, path, &limit);
	struct finding *finding = finding_add(findings, check,
					      err ? status_of_error(err) : STATUS_OK, "", path);
	char value[32];

	if (err)
		return;
	finding_current(finding, "%" PRIu64, limit);
	finding_wanted(finding, "at least %" PRIu64, need);
	if (limit >= need || (none && !limit))
		return;
	finding->status = STATUS_FAIL;
	finding_why(finding, "%s", harm);
	snprintf(value, sizeof(value), "%" PRIu64, need);
	fix_write(finding, path, value, "CAP_SYS_ADMIN");
	fix_persist(finding, PERSIST_SYSCTL, NULL);
}

void look_max_map_count(const struct check *check, const struct machine *machine,
			struct findings *findings)
{
	look_sysctl(check, machine, findings, "/proc/sys/vm/max_map_count",
		    machine->wish.clients * CLIENT_MAPPINGS + OWN_MAPPINGS, false,
		    "a server of so many clients is out of mappings, and refuses those who come "
		    "later");
}

/* All that are open on the machine count, so those of both sides do. */
void look_file_max(const struct check *check, const struct machine *machine,
		   struct findings *findings)
{
	look_sysctl(check, machine, findings, "/proc/sys/fs/file-max",
		    machine->wish.clients * 2 * CLIENT_DESCRIPTORS + OWN_FILES, false,
		    "the whole machine is out of open files before so many clients are there");
}

void look_pipe_pages(const struct check *check, const struct machine *machine,
		     struct findings *findings)
{
	static const char path[] = "/proc/sys/fs/pipe-user-pages-soft";
	struct finding *finding;

	look_sysctl(check, machine, findings, path, machine->wish.clients * PIPE_PAGES, true,
		    "a program with a pipe for each client gets pipes of one or two pages from "
		    "some client on, and sleeps more often");
	finding = &findings->all[findings->count - 1];
	if (finding->status != STATUS_FAIL)
		return;
	/* Links have no pipes: it is for what stands beside them. */
	finding->status = STATUS_WARN;
	if (has_capability(machine, CAP_SYS_RESOURCE) || has_capability(machine, CAP_SYS_ADMIN)) {
		finding->status = STATUS_OK;
		fix_drop(finding);
		finding_why(finding, "CAP_SYS_RESOURCE or CAP_SYS_ADMIN is at hand, so the limit "
				     "does not count");
	}
}

/* --- what it runs under ----------------------------------------------------------------------- */

void look_hypervisor(const struct check *check, const struct machine *machine,
		     struct findings *findings)
{
	static const char path[] = "/proc/cpuinfo";
	int err = tree_has(&machine->tree, path);
	struct finding *finding = finding_add(findings, check,
					      err ? status_of_error(err) : STATUS_OK, "", path);

	if (err)
		return;
	finding_current(finding, "%s", *machine->hypervisor ? machine->hypervisor : "none seen");
	if (*machine->hypervisor)
		finding_why(finding,
			    "to wake a sleeper takes a trip to the host, whose other guests "
			    "can take the CPU away: peal-tune jitter shows how long");
}

void look_container(const struct check *check, const struct machine *machine,
		    struct findings *findings)
{
	char path[64];
	struct finding *finding;
	int err;

	snprintf(path, sizeof(path), "%s/cgroup", machine->process);
	err = tree_has(&machine->tree, path);
	finding = finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "", path);
	if (err)
		return;
	finding_current(finding, "%s", *machine->container ? machine->container : "none seen");
	if (*machine->container)
		finding_why(finding,
			    "what is in /sys and in /proc/sys, but for net, is the host's and "
			    "is to be set there; limits and control groups are set where the "
			    "container is started");
}

/* A field of the process's status. */
static struct finding *look_status(const struct check *check, const struct machine *machine,
				   struct findings *findings, const char *field, char value[64])
{
	char path[64], *text;
	int err;

	snprintf(path, sizeof(path), "%s/status", machine->process);
	err = (int)tree_read(&machine->tree, path, &text);
	if (err >= 0)
		err = parse_field(text, field, value, 64);
	free(text);
	if (err)
		*value = '\0';
	return finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "", path);
}

void look_seccomp(const struct check *check, const struct machine *machine,
		  struct findings *findings)
{
	static const char *const modes[] = { "none", "strict", "filter" };
	char value[64];
	int64_t mode;
	struct finding *finding = look_status(check, machine, findings, "Seccomp", value);

	if (finding->status != STATUS_OK)
		return;
	if (parse_number(value, &mode) || mode < 0 || mode > 2) {
		finding->status = STATUS_WARN;
		return;
	}
	finding_current(finding, "%s", modes[mode]);
	if (mode == 2)
		finding_why(finding,
			    "each system call costs some more; docs/containers.md has those "
			    "that Peal makes");
	if (mode != 1)
		return;
	finding->status = STATUS_FAIL;
	finding_wanted(finding, "none or filter");
	finding_why(finding, "a process that may only read, write and exit can have no link");
}

/* What is of use, and for what. */
static const struct {
	unsigned number;
	const char *name, *use;
} useful[] = {
	{ CAP_IPC_LOCK, "CAP_IPC_LOCK", "locks more memory than the limit" },
	{ CAP_SYS_NICE, "CAP_SYS_NICE", "gives real-time priority and moves pages" },
	{ CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", "raises hard limits" },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "sets most of what is found here" },
};

/* "cap_chown, cap_kill", or "all but cap_kill", whichever is shorter: by libcap, which knows the
 * names, or else as the kernel prints them. known: those that this kernel has. */
static void print_capabilities(struct finding *finding, uint64_t all, uint64_t known)
{
#ifdef HAVE_LIBCAP
	bool most = __builtin_popcountll(all) * 2 > __builtin_popcountll(known);
	uint64_t listed = most ? known & ~all : all;
	char list[512] = "";
	size_t used = 0;

	for (int i = 0; i < 64 && used < sizeof(list); i++) {
		char *name = listed >> i & 1 ? cap_to_name(i) : NULL;

		if (!name)
			continue;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
					 name);
		cap_free(name);
	}
	finding_current(finding, "%s%s", most ? "all but " : "", list);
#else
	(void)known;
	finding_current(finding, "0x%" PRIx64, all);
#endif
}

void look_capabilities(const struct check *check, const struct machine *machine,
		       struct findings *findings)
{
	/* What is newer than the oldest kernels with a sealed memfd is not missed. */
	const uint64_t known = (UINT64_C(2) << CAP_AUDIT_READ) - 1;
	char value[64], lacks[256] = "";
	size_t used = 0;
	struct finding *finding = look_status(check, machine, findings, "CapEff", value);

	if (finding->status != STATUS_OK)
		return;
	for (size_t i = 0; i < sizeof(useful) / sizeof(useful[0]); i++)
		if (!has_capability(machine, useful[i].number))
			used += (size_t)snprintf(lacks + used, sizeof(lacks) - used, "%s%s (%s)",
						 used ? ", " : "", useful[i].name, useful[i].use);
	if ((machine->capabilities & known) == known)
		finding_current(finding, "all");
	else if (machine->capabilities)
		print_capabilities(finding, machine->capabilities, known);
	else
		finding_current(finding, "none");
	if (machine->confined)
		finding_why(finding, "they are of a user namespace, and good for what it owns: not "
				     "for locked memory, real-time priority, limits and /sys");
	else if (used)
		finding_why(finding, "not at hand, and of use: %s", lacks);
}
