/*
 * SPDX-License-Identifier: MIT
 *
 * What a check is, and what it finds. The checks themselves are the rows of checks.c; those that
 * need more than a row says have a function in check_*.c.
 */
#ifndef PEAL_TUNE_CHECK_H
#define PEAL_TUNE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/peal-tune/parse.h"
#include "tools/peal-tune/tree.h"

/* What the machine is to be good for; bits, since a check may be for several. */
enum profile { PROFILE_LATENCY = 1, PROFILE_THROUGHPUT = 2, PROFILE_CONTAINER = 4 };

/* "latency or throughput"; "any" for all. */
const char *profile_name(unsigned profiles);

/* What the user wants to run, as the command line says. */
struct wish {
	enum profile profile;
	struct cpus cpus; /* --cpus; none: all that may be used */
	bool has_cpus;
	int node;         /* --node; -1: any */
	uint64_t bytes;   /* --bytes: memory of rings that is to be on huge pages; 0: none */
	uint64_t clients; /* --clients of one server; 0: none in particular */
	int64_t pid;      /* --pid: a live process whose rings are looked at; 0: none */
};

/* What many checks need to know of a machine; read once. */
struct machine {
	struct tree tree;
	struct wish wish;
	char process[24];    /* "/proc/self", or the folder of wish.pid: whom limits are asked of */
	char arch[16];       /* x86, arm64, riscv or other: by /proc/cpuinfo */
	char hypervisor[32]; /* kvm, xen, vmware, ...; "": none, as far as one can see */
	char container[32];  /* docker, podman, lxc, ...; "": none, likewise */
	char kernel[64];     /* release; "": not known */
	struct cpus online;
	struct cpus allowed;   /* to the process */
	struct cpus chosen;    /* wish.cpus, or those of allowed that are online */
	uint64_t capabilities; /* effective, as bits; all of them where it cannot be told */
	bool confined;         /* they are those of a user namespace: for what it owns only */
	char cgroup[4096];     /* path of the unified hierarchy, or ""; see cgroup_file */
};

enum status {
	STATUS_OK,
	STATUS_WARN,
	STATUS_FAIL,
	STATUS_ABSENT, /* skip(absent): there is no such thing here */
	STATUS_DENIED, /* skip(denied): it may not be read */
	STATUS_REBOOT  /* it can only be had at the next boot */
};

/* How a mend is made to last. */
enum persist {
	PERSIST_NONE,
	PERSIST_SYSCTL,   /* a line of sysctl.d */
	PERSIST_TMPFILES, /* a line of tmpfiles.d: "w PATH - - - - VALUE" */
	PERSIST_BOOT,     /* words for the kernel's command line: never written, only shown */
	PERSIST_LIMITS,   /* a line of limits.d, or LimitX= of a unit: only shown */
	PERSIST_OTHER     /* something else that is only shown, such as systemctl disable */
};

/* One mend. What can be written is one value into each of count files; else only the command. */
struct fix {
	char *command; /* for a shell, as root if capability is not NULL; NULL: there is no mend */
	char **paths;  /* without the root */
	unsigned count;
	char *path;  /* all of them as one shell pattern, for showing; NULL: nothing to write */
	char *value; /* what goes into each */
	enum persist persist;
	char *persist_line;     /* that line, or words */
	const char *capability; /* that writing takes, such as "CAP_SYS_ADMIN"; NULL: none */
};

struct check;

struct finding {
	const struct check *check;
	char *scope; /* what it is about: "node0 2 MiB", "cpu 0-3"; "": the machine */
	enum status status;
	char *current; /* never NULL, as the others; "" where there is none */
	char *wanted;
	char *source; /* the file that it was read from, or would be */
	char *why;    /* one sentence, about this machine */
	struct fix fix;
};

struct findings {
	struct finding *all;
	unsigned count;
};

/* How the value of a row's one file is judged. */
enum rule {
	RULE_NONE,     /* look() does */
	RULE_EQUAL,    /* the number is want */
	RULE_AT_LEAST, /* at least */
	RULE_AT_MOST,
	RULE_CHOICE /* the word, or the one in brackets, is one of want, separated by | */
};

struct check {
	const char *id;    /* "thp-shmem": lower case, digits and -; never changes its meaning */
	unsigned profiles; /* for which it is judged; else it is told as ok */
	const char *title; /* a few words */
	const char *why;   /* a paragraph: for explain */

	/* Of those that are one file and one rule: */
	const char *path;
	enum rule rule;
	const char *want; /* by the rule; its first word is what the mend writes */
	enum status bad;  /* what it is otherwise: STATUS_WARN or STATUS_FAIL */
	const char *harm; /* the sentence for that */
	enum persist persist;
	const char *capability;

	/* Of the others: adds a finding, or several, in any case at least one. */
	void (*look)(const struct check *check, const struct machine *machine,
		     struct findings *findings);
};

/* The table. */
extern const struct check checks[];
extern const unsigned checks_count;
const struct check *check_find(const char *id);
/* The id that is most like this word. */
const char *check_nearest(const char *word);

/* Reads what is known of the machine. What cannot be read is left empty, or taken as all. 0, or a
 * negative errno: there is no such root, or no such process (-ESRCH). */
int machine_read(struct machine *machine, const char *root, const struct wish *wish);

/* All checks, or the one of this id (only may be NULL), in the order of the table. 0, or -ENOENT:
 * there is none of this id. */
int checks_run(const struct machine *machine, const char *only, struct findings *findings);
void findings_free(struct findings *findings);

/*
 * For look(): adds a finding; formats are printf's, and copied. The finding stays where it is until
 * the next is added. Where memory runs out, the program ends with a sentence.
 *
 * What all have in common is done behind look(): one that is judged for other profiles only becomes
 * ok; absent and denied ones without a sentence get theirs, and denied ones the command to look
 * again as root.
 */
struct finding *finding_add(struct findings *findings, const struct check *check,
			    enum status status, const char *scope, const char *source);
void finding_current(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void finding_wanted(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void finding_why(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The status for a file that could not be read: absent, denied, or warn with a sentence where it
 * has nonsense in it. */
enum status status_of_error(int err);
/* A mend that writes value into a file; called again, into a further one too. */
void fix_write(struct finding *finding, const char *path, const char *value,
	       const char *capability);
/* What makes the mend last. format is NULL for sysctl and tmpfiles, as the line is made of path and
 * value; of several paths there are several lines. */
void fix_persist(struct finding *finding, enum persist persist, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A mend that is a command of its own. */
void fix_command(struct finding *finding, const char *capability, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define CGROUP_PATH 4352

/* The file of a controller in the cgroup of this process or of one above it that is there:
 * "memory" and "memory.max" in version 2, or its name in version 1. 0 and path, or -ENOENT. */
int cgroup_file(const struct machine *machine, const char *controller, const char *name,
		const char *name_v1, char path[CGROUP_PATH]);

/* In a group above there may be a tighter limit: turns path into that of the parent's file, which
 * need not be there. False: there is no group above. */
bool cgroup_climb(char *path);

#endif
