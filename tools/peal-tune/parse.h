/*
 * SPDX-License-Identifier: MIT
 *
 * The forms in which the kernel writes things, taken apart. Every function takes any text: what it
 * cannot read is -EINVAL, never a guess. It knows no files.
 */
#ifndef PEAL_TUNE_PARSE_H
#define PEAL_TUNE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CPUs, or NUMA nodes: those from 0 to 4095. */
#define CPUS_MAX 4096u

struct cpus {
	uint64_t bits[CPUS_MAX / 64];
};

void cpus_add(struct cpus *cpus, unsigned cpu);
bool cpus_has(const struct cpus *cpus, unsigned cpu);
unsigned cpus_count(const struct cpus *cpus);
/* The first from this one on; CPUS_MAX: none. */
unsigned cpus_next(const struct cpus *cpus, unsigned from);
bool cpus_within(const struct cpus *some, const struct cpus *all);
bool cpus_meet(const struct cpus *a, const struct cpus *b);
/* Takes these out of cpus. */
void cpus_less(struct cpus *cpus, const struct cpus *these);

/* "0-3,8,10-11"; "" is none. Strides ("0-6:2/3") are -EINVAL, as the kernel prints none. */
int parse_cpus(const char *text, struct cpus *cpus);
/* "ff,00000001", as of masks in /proc/irq and workqueue. */
int parse_mask(const char *text, struct cpus *cpus);
/* So much holds any list: every second of them, with a comma each. */
#define CPUS_TEXT (CPUS_MAX / 2 * 5)
/* The list of parse_cpus again; cut, with "...", where size does not hold it. */
void print_cpus(const struct cpus *cpus, char *text, size_t size);

/* Decimal or 0x, with a sign, and nothing else but white space around it. */
int parse_number(const char *text, int64_t *value);

/* Of cgroups and limits: a number, or "max" / "unlimited" as UINT64_MAX. */
int parse_limit(const char *text, uint64_t *value);

/* "64 KiB", "1.5 GiB", "unlimited" of UINT64_MAX: for people. */
#define SIZE_TEXT 32
const char *print_size(uint64_t bytes, char text[SIZE_TEXT]);

/* The one in brackets of "always [madvise] never", into choice. */
int parse_choice(const char *text, char *choice, size_t size);

/* The value behind "Key:" at the beginning of a line (/proc/self/status, cpuinfo, meminfo), without
 * white space around it. -ENOENT: there is no such line. */
int parse_field(const char *text, const char *key, char *value, size_t size);

/* One row of /proc/PID/limits: soft and hard, "unlimited" as UINT64_MAX. */
int parse_rlimit(const char *text, const char *name, uint64_t *soft, uint64_t *hard);

/* The path of a controller in /proc/PID/cgroup: that of version 2 ("" as controller) or of a named
 * one of version 1. -ENOENT: there is none. */
int parse_cgroup(const char *text, const char *controller, char *path, size_t size);

#endif
