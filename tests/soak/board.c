/*
 * SPDX-License-Identifier: MIT
 *
 * The board's words; see board.h.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/soak/board.h"

struct board *board;
char folder[64];
uint64_t first_seed;
int process = SERVER;
int variant;

uint64_t get(const uint64_t *word)
{
	/* Pairs with put: what was done before is seen. */
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void put(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void add(uint64_t *word, uint64_t value)
{
	__atomic_fetch_add(word, value, __ATOMIC_RELAXED);
}

void tally(enum count what)
{
	add(&board->counts[what], 1);
}

void tally_message(uint64_t bytes)
{
	tally(MESSAGES);
	add(&board->counts[BYTES], bytes);
	add(&board->variants[variant].messages, 1);
	add(&board->variants[variant].bytes, bytes);
}

void tally_link(uint64_t sleeps)
{
	add(&board->counts[SLEEPS], sleeps);
	add(&board->variants[variant].sleeps, sleeps);
	add(&board->variants[variant].links, 1);
}

bool since(const uint64_t *word, uint64_t before)
{
	return get(word) != before || (before & 1);
}

uint64_t kills(void)
{
	return get(&board->kills[SERVER]) + get(&board->kills[CLIENT]);
}

void note_step(struct note *note)
{
	add(&note->steps, 1);
}

void wrong(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "soak: %s: ", process == SERVER ? "server" : "client");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	put(&board->wrong, 1);
	_exit(1);
}
