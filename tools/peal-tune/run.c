/*
 * SPDX-License-Identifier: MIT
 *
 * peal-tune run: becomes a program, after it has been given CPUs, a node, a limit, a class of
 * scheduling, or the latency of power management. All that lasts across execve, so there is nobody
 * between the program and who started it: signals, standard streams and the exit status are the
 * program's own. What cannot be had is told before, and nothing is started then.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef HAVE_LIBNUMA
#include <numa.h>
#include <numaif.h>
#endif

#include "tools/peal-tune/affinity.h"
#include "tools/peal-tune/command.h"
#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/hold.h"
#include "tools/peal-tune/report.h"
#include "tools/peal-tune/shell.h"
#include "tools/peal-tune/tell.h"
#include "tools/peal-tune/tree.h"
#include "tools/standard.h"

/* As shells have it. */
enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

struct plan {
	struct cpus cpus;
	bool has_cpus;
	int node;     /* -1: none */
	bool of_node; /* the CPUs are the node's: as many of them as may be had */
	bool lock, hold;
	int priority; /* of SCHED_FIFO; 0: not that */
	char **command;
};

/* --- one step each: 0 or an exit code --------------------------------------------------------- */

static int take_cpus(const struct plan *plan)
{
	char wanted[256], got[256];
	struct cpus now;
	int err = affinity_set(&plan->cpus);

	if (!err)
		return 0;
	/* The kernel gives those that the cpuset has. */
	if (plan->of_node && err == -EINVAL && !affinity_get(&now) && cpus_count(&now) &&
	    cpus_within(&now, &plan->cpus))
		return 0;
	print_cpus(&plan->cpus, wanted, sizeof(wanted));
	if (err != -EINVAL || affinity_get(&now) || !cpus_within(&now, &plan->cpus))
		memset(&now, 0, sizeof(now));
	print_cpus(&now, got, sizeof(got));
	return tell(EXIT_PRIVILEGE,
		    "of CPUs %s this process gets %s%s%s: choose others with --cpus, bring those "
		    "online, or let them into this cgroup's cpuset.cpus",
		    wanted, *got ? got : "none", err == -EINVAL ? "" : ": ",
		    err == -EINVAL ? "" : strerror(-err));
}

/* The node's CPUs, too, unless there are others wanted. */
static int plan_node(struct plan *plan)
{
	static const struct tree live = { "" };
	char path[64], *text;
	struct cpus cpus;
	int64_t length;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", plan->node);
	length = tree_read(&live, path, &text);
	if (length < 0)
		return tell(length == -ENOENT ? EXIT_USAGE : EXIT_PRIVILEGE,
			    "node %d: %s: %s: see peal-tune topology for those that there are",
			    plan->node, path, strerror((int)-length));
	if (!plan->has_cpus && !parse_cpus(text, &cpus) && cpus_count(&cpus)) {
		plan->cpus = cpus;
		plan->has_cpus = plan->of_node = true;
	}
	free(text);
	return 0;
}

#ifdef HAVE_LIBNUMA
static int take_node(const struct plan *plan)
{
	struct cpus nodes = { { 0 } };

	cpus_add(&nodes, (unsigned)plan->node);
	if (numa_available() < 0)
		return tell(EXIT_PRIVILEGE,
			    "node %d: this kernel has no memory policies (CONFIG_NUMA), or they "
			    "are kept from this process: leave --node out",
			    plan->node);
	if (!set_mempolicy(MPOL_BIND, (unsigned long *)(void *)nodes.bits, CPUS_MAX))
		return 0;
	return tell(EXIT_PRIVILEGE,
		    "node %d: no memory from there (%s): it has none, or it is not in this "
		    "cgroup's cpuset.mems, or a filter keeps set_mempolicy away",
		    plan->node, strerror(errno));
}
#else
static int take_node(const struct plan *plan)
{
	return tell(EXIT_PRIVILEGE,
		    "node %d: peal-tune was built without libnuma: build it with that (Debian: "
		    "libnuma-dev), or use numactl --membind=%d",
		    plan->node, plan->node);
}
#endif

/* Whether the limit does not bind this process, nor what root starts: where nothing may be locked,
 * only who has CAP_IPC_LOCK locks a byte. Root of a user namespace has it of that one alone, which
 * is not what the kernel asks for. */
static bool is_above_limit(void)
{
	struct rlimit now, none;
	char byte;
	bool locked;

	if (geteuid() || getrlimit(RLIMIT_MEMLOCK, &now))
		return false;
	none = (struct rlimit){ 0, now.rlim_max };
	if (setrlimit(RLIMIT_MEMLOCK, &none))
		return false;
	locked = !mlock(&byte, 1);
	if (locked)
		munlock(&byte, 1);
	setrlimit(RLIMIT_MEMLOCK, &now);
	return locked;
}

/* Locks themselves end with execve: what lasts is that the program may lock as much as it wants to.
 * The limit does not bind who has CAP_IPC_LOCK, as programs that root starts do. */
static int take_lock(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit now = all;

	if (!setrlimit(RLIMIT_MEMLOCK, &all) || is_above_limit())
		return 0;
	getrlimit(RLIMIT_MEMLOCK, &now);
	return tell(EXIT_PRIVILEGE,
		    "the limit of locked memory is %" PRIu64 " KiB, and only CAP_SYS_RESOURCE goes "
		    "beyond, or CAP_IPC_LOCK without it: run as root, or raise it with a line "
		    "\"memlock unlimited\" in limits.d, or LimitMEMLOCK=infinity of a unit",
		    (uint64_t)now.rlim_max / 1024);
}

static int take_fifo(const struct plan *plan)
{
	const struct sched_param param = { .sched_priority = plan->priority };
	struct rlimit limit = { 0, 0 };
	int err = pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);

	if (!err)
		return 0;
	getrlimit(RLIMIT_RTPRIO, &limit);
	return tell(
		EXIT_PRIVILEGE,
		"SCHED_FIFO with priority %d: %s: the limit of real-time priorities "
		"(RLIMIT_RTPRIO) is %" PRIu64 ", and only CAP_SYS_NICE goes beyond: run as root, "
		"or raise it with a line \"rtprio %d\" in limits.d, or LimitRTPRIO=%d of a unit",
		plan->priority, strerror(err), (uint64_t)limit.rlim_cur, plan->priority,
		plan->priority);
}

static int take_latency(const struct plan *plan)
{
	int err = hold_latency();

	(void)plan;
	switch (err) {
	case 0:
		return 0;
	case -EAGAIN:
		return tell(EXIT_PRIVILEGE, "no process could be started that holds " HOLD_FILE
					    ": raise the limit of processes (ulimit -u)");
	case -ECHILD:
		return tell(EXIT_PRIVILEGE,
			    "who holds " HOLD_FILE " would become a child of the program, to whom "
			    "orphans are left: have this container started with an init of its own "
			    "(docker run --init), or leave --hold-latency out");
	case -ENOSYS:
		return tell(EXIT_PRIVILEGE,
			    "holding " HOLD_FILE " takes pidfd_open, which this kernel lacks "
			    "(Linux 5.3 has it): leave --hold-latency out");
	case -ENOENT:
		return tell(EXIT_PRIVILEGE, "there is no " HOLD_FILE
					    " here: leave --hold-latency out, or show this "
					    "container the host's");
	default:
		return tell(EXIT_PRIVILEGE,
			    HOLD_FILE ": %s: it belongs to root: run as root, or let your group "
				      "write it (a udev rule for KERNEL==\"cpu_dma_latency\")",
			    strerror(-err));
	}
}

/* The holder comes first, so that it has neither the program's CPUs nor its class. */
static int take_all(struct plan *plan)
{
	int code = plan->node >= 0 ? plan_node(plan) : 0;

	if (!code && plan->hold)
		code = take_latency(plan);
	if (!code && plan->node >= 0)
		code = take_node(plan);
	if (!code && plan->has_cpus)
		code = take_cpus(plan);
	if (!code && plan->lock)
		code = take_lock();
	if (!code && plan->priority)
		code = take_fifo(plan);
	return code;
}

/* --- the same in commands that everybody knows ------------------------------------------------ */

static void print_command(char **text, const struct plan *plan)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	/* Who is above the limit need not be let raise it. */
	bool raise = plan->lock && (!setrlimit(RLIMIT_MEMLOCK, &all) || !is_above_limit());
	char list[CPUS_TEXT];

	text_set(text, "%s", raise ? "prlimit --memlock=unlimited:unlimited " : "");
	if (plan->node >= 0)
		text_set(text, "%snumactl --membind=%d ", *text, plan->node);
	if (plan->has_cpus) {
		print_cpus(&plan->cpus, list, sizeof(list));
		text_set(text, "%staskset -c %s ", *text, list);
	}
	if (plan->priority)
		text_set(text, "%schrt -f %d ", *text, plan->priority);
	shell_words(text, plan->command);
	if (plan->hold)
		text_set(text, "%s 3>&-", *text);
}

static int print_dry(const struct common *common, const struct machine *machine, struct plan *plan)
{
	static const char holding[] = "exec 3>" HOLD_FILE "; printf '\\0\\0\\0\\0' >&3";
	struct json json = { .file = stdout };
	int code = plan->node >= 0 ? plan_node(plan) : 0;
	char *text = NULL;

	if (code)
		return code;
	print_command(&text, plan);
	if (common->json) {
		report_begin_json(&json, "run", machine);
		json_array(&json, "commands");
		if (plan->hold)
			json_string(&json, NULL, holding);
		json_string(&json, NULL, text);
		json_end_array(&json);
		json_end_object(&json);
	} else {
		if (plan->hold)
			puts(holding);
		puts(text);
	}
	free(text);
	return EXIT_FINE;
}

/* --- the command line ------------------------------------------------------------------------- */

static int take_options(struct plan *plan, int argc, char **argv)
{
	static const struct option known[] = {
		{ "lock", no_argument, NULL, 'l' },
		{ "fifo", required_argument, NULL, 'f' },
		{ "hold-latency", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int64_t priority;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", known, NULL)) != -1) {
		switch (option) {
		case 'l':
			plan->lock = true;
			break;
		case 'f':
			if (parse_number(optarg, &priority) ||
			    priority < sched_get_priority_min(SCHED_FIFO) ||
			    priority > sched_get_priority_max(SCHED_FIFO))
				return tell(EXIT_USAGE,
					    "priority \"%s\" is out of range: give %d to %d",
					    optarg, sched_get_priority_min(SCHED_FIFO),
					    sched_get_priority_max(SCHED_FIFO));
			plan->priority = (int)priority;
			break;
		case 'h':
			plan->hold = true;
			break;
		default:
			return tell_option(option, standard_option(argv));
		}
	}
	if (optind >= argc || !argv[optind] || strcmp(argv[optind - 1], "--") != 0)
		return tell(EXIT_USAGE, "no command: give one behind \"--\"");
	plan->command = argv + optind;
	return 0;
}

int command_run(const struct common *common, int argc, char **argv)
{
	struct plan plan = {
		.cpus = common->wish.cpus,
		.has_cpus = common->wish.has_cpus,
		.node = common->wish.node,
	};
	struct machine machine;
	int code = take_options(&plan, argc, argv);

	if (code || !plan.command)
		return code;
	if (*common->root)
		return tell(EXIT_USAGE, "run starts a program on this machine: leave --root out");
	if (common->json && !common->dry_run)
		return tell(EXIT_USAGE,
			    "run prints nothing of its own: --json goes with --dry-run");
	code = take_machine(common, &machine);
	if (code)
		return code;
	if (common->dry_run)
		return print_dry(common, &machine, &plan);
	code = take_all(&plan);
	if (code)
		return code;
	execvp(plan.command[0], plan.command);
	return tell(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "%s: %s",
		    plan.command[0], strerror(errno));
}
