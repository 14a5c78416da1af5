/*
 * SPDX-License-Identifier: MIT
 *
 * How the programs that the process tests start are told what to do: commands on their standard
 * input, one a line, with which they end. What changes how they are says nothing; other commands
 * answer with a line of their name, a result, and what there is to say. Knows nothing of libcheck.
 */
#ifndef TESTS_PROCESS_ORDERS_H
#define TESTS_PROCESS_ORDERS_H

#include <stddef.h>
#include <stdint.h>

#define ORDER_WORDS 8 /* of a line, at most; those that are not there are NULL */

struct order {
	const char *verb;
	void (*run)(char *words[]);
};

/* Does what it is told until its standard input ends. */
void orders_follow(const struct order *orders, size_t count);

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The answer of a command that came to an errno, or to 0 or more. */
void answer(const char *verb, long result);

/* What a word says: a number, 0 if there is none; a timeout, or "forever". */
uint64_t number(const char *text);
int64_t timeout(const char *text);

/* Who this is and what it may: "user UID GID GROUP" and "nofile NUMBER". */
void order_user(char *words[]);
void order_descriptors(char *words[]);

#endif
