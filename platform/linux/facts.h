/*
 * SPDX-License-Identifier: MIT
 *
 * Facts about a Linux machine, gathered in three files: what the library uses (facts.c), the
 * machine around it (machine.c), and what holds this process in (confinement.c). What is not there
 * or may not be read is told as such.
 */
#ifndef PLATFORM_LINUX_FACTS_H
#define PLATFORM_LINUX_FACTS_H

#include "platform/platform.h"

struct fact_source {
	const char *group, *name; /* both NULL: the end */
	void (*tell)(struct platform_fact *fact);
};

extern const struct fact_source machine_facts[], confinement_facts[];

/* Sets a value, or a note, as far as it fits. */
void fact_say(struct platform_fact *fact, const char *value);
void fact_note(struct platform_fact *fact, const char *note);

/* Adds a word to a value, a space before it unless it is the first. */
void fact_add(struct platform_fact *fact, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reads the beginning of a file, all white space at its end removed. 0 or a negative errno. */
int fact_read(const char *path, char *text, size_t size);

/* The same for the first line. "" if it cannot be read. */
void fact_read_line(const char *path, char *line, size_t size);

/* The first line of a file as a value; or what keeps it from being told, and the note says of
 * which file. */
void fact_tell_file(struct platform_fact *fact, const char *path);
void fact_cannot(struct platform_fact *fact, const char *path, int err);

/* The line of /proc/self/status that begins with a name and a colon, behind these. 0 or a negative
 * errno. */
int fact_status(const char *name, char *value, size_t size);

#endif
