/*
 * SPDX-License-Identifier: MIT
 *
 * The registry of open handles: what a fork has to find. A child's handles are made dead, so that
 * a child that lives on does not hide its parent's death.
 */
#ifndef LIB_REGISTRY_H
#define LIB_REGISTRY_H

/* Part of every handle. */
struct handle {
	struct handle *next, *previous;
	/* Called in a child of a fork, once: closes descriptors, forgets mappings (they did not
	 * come along), makes every verb answer -ESTALE. The handle is not in the registry any
	 * more. */
	void (*orphan)(struct handle *handle);
};

/* Installs the fork handlers; by the runtime, once, before anything of the library's takes a
 * lock. */
void registry_watch_forks(void);

/*
 * No fork happens between these two. Whoever opens a descriptor that a child must not keep does so
 * in between, and stores it where a registered handle finds it; likewise whoever closes it.
 */
void registry_lock(void);
void registry_unlock(void);

/* Only while locked. Removing one that is not there does nothing. */
void registry_add(struct handle *handle);
void registry_remove(struct handle *handle);

#endif
