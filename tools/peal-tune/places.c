/*
 * SPDX-License-Identifier: MIT
 *
 * Places, read CPU by CPU. Each CPU names those that it shares something with, so each place is met
 * as often as it has CPUs, and kept once.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/places.h"

#define CPU_FOLDER "/sys/devices/system/cpu/cpu%u/"
#define NODE_FOLDER "/sys/devices/system/node"

static bool same(const struct place *a, const struct place *b)
{
	return a->kind == b->kind && a->level == b->level && !strcmp(a->type, b->type) &&
	       !memcmp(&a->cpus, &b->cpus, sizeof(a->cpus)) &&
	       (a->kind != PLACE_NODE || a->id == b->id);
}

static int add(struct places *places, const struct place *place)
{
	struct place *grown;

	for (unsigned i = 0; i < places->count; i++)
		if (same(&places->all[i], place))
			return 0;
	grown = realloc(places->all, (places->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	places->all = grown;
	places->all[places->count++] = *place;
	return 0;
}

static int64_t number_at(const struct tree *tree, const char *path)
{
	int64_t value;

	return tree_number(tree, path, &value) || value < 0 ? -1 : value;
}

static bool cpus_at(const struct tree *tree, const char *path, struct cpus *cpus)
{
	char *text;
	bool found;

	if (tree_read(tree, path, &text) < 0)
		return false;
	found = !parse_cpus(text, cpus);
	free(text);
	return found;
}

/* A file of a CPU that names others; at least itself is one of them. */
static bool shared(const struct tree *tree, unsigned cpu, const char *name, struct cpus *cpus)
{
	char path[128];

	snprintf(path, sizeof(path), CPU_FOLDER "%s", cpu, name);
	return cpus_at(tree, path, cpus) && cpus_has(cpus, cpu);
}

static int add_package(struct places *places, const struct tree *tree, unsigned cpu)
{
	struct place place = { .kind = PLACE_PACKAGE, .kib = -1 };
	char path[128];

	if (!shared(tree, cpu, "topology/package_cpus_list", &place.cpus) &&
	    !shared(tree, cpu, "topology/core_siblings_list", &place.cpus))
		return 0;
	snprintf(path, sizeof(path), CPU_FOLDER "topology/physical_package_id", cpu);
	place.id = number_at(tree, path);
	return add(places, &place);
}

static int add_core(struct places *places, const struct tree *tree, unsigned cpu)
{
	struct place place = { .kind = PLACE_CORE, .kib = -1 };
	char path[128];

	if (!shared(tree, cpu, "topology/core_cpus_list", &place.cpus) &&
	    !shared(tree, cpu, "topology/thread_siblings_list", &place.cpus)) {
		memset(&place.cpus, 0, sizeof(place.cpus));
		cpus_add(&place.cpus, cpu);
	}
	snprintf(path, sizeof(path), CPU_FOLDER "topology/core_id", cpu);
	place.id = number_at(tree, path);
	return add(places, &place);
}

/* "32K", in KiB. */
static int64_t read_size(const char *text)
{
	char *end;
	long long size = strtoll(text, &end, 10);

	if (end == text || size < 0 || size > INT32_MAX)
		return -1;
	switch (*end) {
	case 'K':
		return size;
	case 'M':
		return size * 1024;
	case 'G':
		return size * 1024 * 1024;
	default:
		return -1;
	}
}

static int add_cache(struct places *places, const struct tree *tree, unsigned cpu, const char *name)
{
	struct place place = { .kind = PLACE_CACHE, .id = -1, .kib = -1 };
	char path[256], *text;
	int64_t level;

	snprintf(path, sizeof(path), "cache/%.32s/shared_cpu_list", name);
	if (!shared(tree, cpu, path, &place.cpus))
		return 0;
	snprintf(path, sizeof(path), CPU_FOLDER "cache/%.32s/level", cpu, name);
	level = number_at(tree, path);
	if (level < 1 || level > 9)
		return 0;
	place.level = (unsigned)level;
	snprintf(path, sizeof(path), CPU_FOLDER "cache/%.32s/type", cpu, name);
	if (tree_read(tree, path, &text) >= 0) {
		snprintf(place.type, sizeof(place.type), "%s", text);
		free(text);
	}
	snprintf(path, sizeof(path), CPU_FOLDER "cache/%.32s/size", cpu, name);
	if (tree_read(tree, path, &text) >= 0) {
		place.kib = read_size(text);
		free(text);
	}
	return add(places, &place);
}

static int add_caches(struct places *places, const struct tree *tree, unsigned cpu)
{
	char path[128], **names;
	int err = 0;

	snprintf(path, sizeof(path), CPU_FOLDER "cache", cpu);
	if (tree_list(tree, path, &names))
		return 0;
	for (char **name = names; *name && !err; name++)
		if (!strncmp(*name, "index", 5))
			err = add_cache(places, tree, cpu, *name);
	free(names);
	return err;
}

/* "Node 0 MemTotal:  32768 kB", in the first line. */
static int64_t read_memory(const struct tree *tree, const char *path)
{
	int64_t kib = -1;
	char *text, *found;

	if (tree_read(tree, path, &text) < 0)
		return -1;
	found = strstr(text, "MemTotal:");
	if (!found || sscanf(found, "MemTotal: %" SCNd64 " kB", &kib) != 1 || kib < 0)
		kib = -1;
	free(text);
	return kib;
}

static int add_node(struct places *places, const struct tree *tree, const char *name)
{
	struct place place = { .kind = PLACE_NODE };
	char path[128], *text;

	if (strncmp(name, "node", 4) != 0 || parse_number(name + 4, &place.id) || place.id < 0)
		return 0;
	snprintf(path, sizeof(path), NODE_FOLDER "/%.32s/cpulist", name);
	if (!cpus_at(tree, path, &place.cpus))
		return 0;
	snprintf(path, sizeof(path), NODE_FOLDER "/%.32s/meminfo", name);
	place.kib = read_memory(tree, path);
	snprintf(path, sizeof(path), NODE_FOLDER "/%.32s/distance", name);
	if (tree_read(tree, path, &text) >= 0) {
		if (!text[strspn(text, "0123456789 ")] && strlen(text) < sizeof(place.distances))
			memcpy(place.distances, text, strlen(text) + 1);
		free(text);
	}
	return add(places, &place);
}

static int compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	unsigned many = cpus_count(&x->cpus), others = cpus_count(&y->cpus);

	if (many != others)
		return many < others ? 1 : -1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->level != y->level)
		return x->level < y->level ? 1 : -1;
	if (many && cpus_next(&x->cpus, 0) != cpus_next(&y->cpus, 0))
		return cpus_next(&x->cpus, 0) < cpus_next(&y->cpus, 0) ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return strcmp(x->type, y->type);
}

int places_read(struct places *places, const struct machine *machine)
{
	const struct tree *tree = &machine->tree;
	const struct cpus *online = &machine->online;
	char **names;
	int err = 0;

	*places = (struct places){ 0 };
	for (unsigned cpu = cpus_next(online, 0); cpu < CPUS_MAX && !err;
	     cpu = cpus_next(online, cpu + 1)) {
		err = add_package(places, tree, cpu);
		if (!err)
			err = add_core(places, tree, cpu);
		if (!err)
			err = add_caches(places, tree, cpu);
	}
	if (!err && !tree_list(tree, NODE_FOLDER, &names)) {
		for (char **name = names; *name && !err; name++)
			err = add_node(places, tree, *name);
		free(names);
	}
	if (places->count)
		qsort(places->all, places->count, sizeof(*places->all), compare);
	return err;
}

void places_free(struct places *places)
{
	free(places->all);
	*places = (struct places){ 0 };
}
