/*
 * SPDX-License-Identifier: MIT
 *
 * What many checks need to know of a machine, read once: whose limits count, which CPUs there are,
 * what it runs under. It judges nothing.
 */
#define _GNU_SOURCE /* strcasestr */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/check.h"

/* A small file's text, or NULL. */
static char *text_of(const struct machine *machine, const char *path)
{
	char *text;

	return tree_read(&machine->tree, path, &text) < 0 ? NULL : text;
}

/* A file of the process. */
static char *text_of_process(const struct machine *machine, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", machine->process, name);
	return text_of(machine, path);
}

/* --- what it is ------------------------------------------------------------------------------- */

static const char *find_arch(const char *cpuinfo)
{
	char value[64];

	if (!parse_field(cpuinfo, "vendor_id", value, sizeof(value)))
		return strstr(value, "IBM") ? "other" : "x86";
	if (!parse_field(cpuinfo, "CPU implementer", value, sizeof(value)))
		return "arm64";
	if (!parse_field(cpuinfo, "hart", value, sizeof(value)))
		return "riscv";
	return "other";
}

static bool has_flag(const char *cpuinfo, const char *flag)
{
	char flags[8192], *rest = flags, *word;

	if (parse_field(cpuinfo, "flags", flags, sizeof(flags)))
		return false;
	while ((word = strsep(&rest, " ")))
		if (!strcmp(word, flag))
			return true;
	return false;
}

/* What makers of virtual machines write where those of boards write their names. */
static const struct {
	const char *words, *name;
} hypervisors[] = {
	{ "VMware", "vmware" },
	{ "VirtualBox", "virtualbox" },
	{ "innotek", "virtualbox" },
	{ "Xen", "xen" },
	{ "Parallels", "parallels" },
	{ "BHYVE", "bhyve" },
	{ "KVM", "kvm" },
	{ "QEMU", "kvm" },
	{ "Virtual Machine", "hyperv" }, /* behind "KVM Virtual Machine" */
	{ "Google", "kvm" },
	{ "OpenStack", "kvm" },
	{ "DigitalOcean", "kvm" },
	{ "Hetzner vServer", "kvm" },
	{ "Amazon EC2", "kvm" },
	{ "Alibaba Cloud", "kvm" },
	{ "linux,kvm", "kvm" },
};

static const char *name_hypervisor(const char *text)
{
	for (size_t i = 0; i < sizeof(hypervisors) / sizeof(hypervisors[0]); i++)
		if (strcasestr(text, hypervisors[i].words))
			return hypervisors[i].name;
	return NULL;
}

/* On x86 the CPU says whether there is one; others are told by who made the board. */
static const char *find_hypervisor(const struct machine *machine, const char *cpuinfo)
{
	static const char *const files[] = {
		"/sys/class/dmi/id/product_name",
		"/sys/class/dmi/id/sys_vendor",
		"/proc/device-tree/hypervisor/compatible",
	};
	const char *name = NULL;
	bool x86 = !strcmp(machine->arch, "x86");
	char *text;

	if (x86 && !has_flag(cpuinfo, "hypervisor"))
		return "";
	text = text_of(machine, "/sys/hypervisor/type");
	if (text && *text) {
		name = strstr(text, "xen") ? "xen" : NULL;
	}
	free(text);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !name; i++) {
		text = text_of(machine, files[i]);
		if (text && strstr(text, ".metal")) {
			free(text);
			return "";
		}
		name = text ? name_hypervisor(text) : NULL;
		free(text);
	}
	if (!name)
		return x86 ? "unnamed" : "";
	return name;
}

/* How the names of control groups begin that are containers'; of some the container's own name, in
 * hexadecimal letters, has to follow: docker.service is none. */
static const struct {
	const char *words, *name;
	bool number;
} containers[] = {
	{ "kubepods", "kubernetes", false },
	{ "kubelet-kubepods", "kubernetes", false },
	{ "libpod-", "podman", true },
	{ "libpod-payload-", "podman", true },
	{ "docker-", "docker", true },
	{ "docker/", "docker", true },
	{ "docker/buildkit/", "docker", false },
	{ "lxc.payload", "lxc", false },
	{ "lxc/", "lxc", false },
	{ "garden/", "garden", false },
};

static const char *container_of_group(const char *group)
{
	for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++) {
		size_t length = strlen(containers[i].words);

		if (!strncmp(group, containers[i].words, length) &&
		    (!containers[i].number || strspn(group + length, "0123456789abcdef") >= 12))
			return containers[i].name;
	}
	return "";
}

static const char *find_container(const struct machine *machine, char *name, size_t size)
{
	char *text = text_of(machine, "/run/systemd/container");
	const char *found = "";

	if (text && *text) {
		snprintf(name, size, "%s", text);
		free(text);
		return name;
	}
	free(text);
	if (!tree_has(&machine->tree, "/run/.containerenv"))
		return "podman";
	if (!tree_has(&machine->tree, "/.dockerenv"))
		return "docker";
	text = text_of_process(machine, "cgroup");
	for (const char *at = text ? strchr(text, '/') : NULL; at && !*found; at = strchr(at, '/'))
		found = container_of_group(++at);
	free(text);
	return found;
}

/* --- the process ------------------------------------------------------------------------------ */

static void read_status(struct machine *machine)
{
	char *text = text_of_process(machine, "status"), value[CPUS_TEXT];

	machine->capabilities = UINT64_MAX;
	if (!text)
		return;
	if (!parse_field(text, "CapEff", value, sizeof(value)) && *value &&
	    strspn(value, "0123456789abcdefABCDEF") == strlen(value) && strlen(value) <= 16)
		machine->capabilities = strtoull(value, NULL, 16);
	if (parse_field(text, "Cpus_allowed_list", value, sizeof(value)) ||
	    parse_cpus(value, &machine->allowed))
		machine->allowed = (struct cpus){ { 0 } };
	free(text);
	/* The one that all others are in has all users. */
	text = text_of_process(machine, "uid_map");
	if (text) {
		unsigned long long first, outside, count;

		machine->confined = sscanf(text, "%llu %llu %llu", &first, &outside, &count) == 3 &&
				    (first || outside || count != UINT32_MAX);
	}
	free(text);
}

static void read_cpus(struct machine *machine)
{
	char *text = text_of(machine, "/sys/devices/system/cpu/online");

	if (!text || parse_cpus(text, &machine->online) || !cpus_count(&machine->online))
		machine->online = machine->allowed;
	free(text);
	if (!cpus_count(&machine->allowed))
		machine->allowed = machine->online;
	/* A process may be allowed CPUs that are not there, or not now. */
	machine->chosen = machine->wish.has_cpus ? machine->wish.cpus : machine->allowed;
	if (!machine->wish.has_cpus && cpus_meet(&machine->allowed, &machine->online))
		for (unsigned i = 0; i < CPUS_MAX / 64; i++)
			machine->chosen.bits[i] &= machine->online.bits[i];
}

/* "/../other": a process of another namespace, whose groups are not those below our own. */
static bool is_outside(const char *cgroup)
{
	return !strncmp(cgroup, "/..", 3) && (!cgroup[3] || cgroup[3] == '/');
}

int machine_read(struct machine *machine, const char *root, const struct wish *wish)
{
	char name[sizeof(machine->container)], *text;

	*machine = (struct machine){ .tree = { root }, .wish = *wish };
	if (*root && tree_has(&machine->tree, "/"))
		return -ENOENT;
	if (wish->pid)
		snprintf(machine->process, sizeof(machine->process), "/proc/%" PRId64, wish->pid);
	else
		snprintf(machine->process, sizeof(machine->process), "/proc/self");
	if (wish->pid && tree_has(&machine->tree, machine->process))
		return -ESRCH;

	read_status(machine);
	read_cpus(machine);
	text = text_of(machine, "/proc/cpuinfo");
	snprintf(machine->arch, sizeof(machine->arch), "%s", find_arch(text ? text : ""));
	snprintf(machine->hypervisor, sizeof(machine->hypervisor), "%s",
		 find_hypervisor(machine, text ? text : ""));
	free(text);
	snprintf(machine->container, sizeof(machine->container), "%s",
		 find_container(machine, name, sizeof(name)));
	text = text_of(machine, "/proc/sys/kernel/osrelease");
	snprintf(machine->kernel, sizeof(machine->kernel), "%s", text ? text : "");
	free(text);
	text = text_of_process(machine, "cgroup");
	if (!text || parse_cgroup(text, "", machine->cgroup, sizeof(machine->cgroup)) ||
	    is_outside(machine->cgroup))
		machine->cgroup[0] = '\0';
	free(text);
	return 0;
}

/* --- its cgroup ------------------------------------------------------------------------------- */

/* Looks for base + cgroup + "/" + name, in that group and those above it. */
static int find_upwards(const struct machine *machine, const char *base, const char *cgroup,
			const char *name, char path[CGROUP_PATH])
{
	size_t length = strlen(cgroup);

	for (;;) {
		while (length && cgroup[length - 1] == '/')
			length--;
		if (snprintf(path, CGROUP_PATH, "%s%.*s/%s", base, (int)length, cgroup, name) <
			    CGROUP_PATH &&
		    !tree_has(&machine->tree, path))
			return 0;
		if (!length)
			return -ENOENT;
		while (length && cgroup[length - 1] != '/')
			length--;
	}
}

int cgroup_file(const struct machine *machine, const char *controller, const char *name,
		const char *name_v1, char path[CGROUP_PATH])
{
	char base[64], cgroup[sizeof(machine->cgroup)], *text;
	int err = -ENOENT;

	if (*machine->cgroup && name &&
	    (!find_upwards(machine, "/sys/fs/cgroup", machine->cgroup, name, path) ||
	     !find_upwards(machine, "/sys/fs/cgroup/unified", machine->cgroup, name, path)))
		return 0;
	if (!name_v1)
		return -ENOENT;
	text = text_of_process(machine, "cgroup");
	if (text && !parse_cgroup(text, controller, cgroup, sizeof(cgroup)) &&
	    !is_outside(cgroup)) {
		snprintf(base, sizeof(base), "/sys/fs/cgroup/%s", controller);
		err = find_upwards(machine, base, cgroup, name_v1, path);
		if (err && !strncmp(controller, "cpu", 3))
			err = find_upwards(machine, "/sys/fs/cgroup/cpu,cpuacct", cgroup, name_v1,
					   path);
	}
	free(text);
	return err;
}

bool cgroup_climb(char *path)
{
	char *file = strrchr(path, '/'), *folder;

	*file = '\0';
	folder = strrchr(path, '/');
	*file = '/';
	if (!folder || folder - path < (long)strlen("/sys/fs/cgroup"))
		return false;
	memmove(folder, file, strlen(file) + 1);
	return true;
}
