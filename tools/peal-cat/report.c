/*
 * SPDX-License-Identifier: MIT
 *
 * Standard error. Progress has a thread of its own, which reads the link's counters and disturbs
 * nobody.
 */
#include "config.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <peal/stats.h>

#include "report.h"

#define LINE_NS 1000000000 /* between lines, */
#define PLACE_NS 200000000 /* and where each takes the last one's place, on a terminal */

static struct {
	const struct peal_link *link; /* NULL: there is no progress */
	bool in_place, over;
	pthread_mutex_t lock; /* over, and standard error */
	pthread_cond_t end;   /* over has become true */
	pthread_t thread;
} progress = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* What had gone, and when. */
struct mark {
	double time;
	uint64_t sent, received;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct mark mark_now(void)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	struct mark mark = { .time = now() };

	if (!peal_link_stats(progress.link, &stats)) {
		mark.sent = stats.tx.bytes;
		mark.received = stats.rx.bytes;
	}
	return mark;
}

/* "1.5 GiB". */
static const char *bytes_text(char text[16], double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned unit = 0;

	for (; bytes >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1; unit++)
		bytes /= 1024;
	snprintf(text, 16, "%.*f %s", unit ? 1 : 0, bytes, units[unit]);
	return text;
}

/* With the rate since then. */
static void tell(const struct mark *mark, const struct mark *since, const char *behind)
{
	double seconds = mark->time - since->time;
	char text[4][16];

	if (seconds <= 0)
		seconds = 1e-9;
	fprintf(stderr, "%ssent %s (%s/s), received %s (%s/s)%s",
		progress.in_place ? "\r\033[K" : "peal-cat: ",
		bytes_text(text[0], (double)mark->sent),
		bytes_text(text[1], (double)(mark->sent - since->sent) / seconds),
		bytes_text(text[2], (double)mark->received),
		bytes_text(text[3], (double)(mark->received - since->received) / seconds), behind);
}

static struct timespec later(struct timespec time, long ns)
{
	time.tv_sec += (time.tv_nsec + ns) / 1000000000;
	time.tv_nsec = (time.tv_nsec + ns) % 1000000000;
	return time;
}

static void *run(void *data)
{
	const struct mark begin = mark_now();
	struct mark last = begin;
	struct timespec next;

	(void)data;
	clock_gettime(CLOCK_MONOTONIC, &next);
	pthread_mutex_lock(&progress.lock);
	while (!progress.over) {
		next = later(next, progress.in_place ? PLACE_NS : LINE_NS);
		while (!progress.over &&
		       !pthread_cond_timedwait(&progress.end, &progress.lock, &next))
			;
		if (!progress.over) {
			struct mark mark = mark_now();

			tell(&mark, &last, progress.in_place ? "" : "\n");
			last = mark;
		}
	}
	last = mark_now();
	/* All of it, and the rate of all of it. */
	tell(&last, &begin, "\n");
	pthread_mutex_unlock(&progress.lock);
	return NULL;
}

void report_progress_begin(const struct peal_link *link)
{
	pthread_condattr_t attributes;

	progress.link = link;
	progress.in_place = isatty(STDERR_FILENO);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&progress.end, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&progress.thread, NULL, run, NULL))
		progress.link = NULL;
}

void report_progress_end(void)
{
	if (!progress.link)
		return;
	pthread_mutex_lock(&progress.lock);
	progress.over = true;
	pthread_cond_signal(&progress.end);
	pthread_mutex_unlock(&progress.lock);
	pthread_join(progress.thread, NULL);
}

void report_failure(int status, const char *format, ...)
{
	va_list arguments;

	/* Never given back: the first failure is the one to tell. */
	pthread_mutex_lock(&progress.lock);
	if (progress.link && progress.in_place)
		fputs("\r\033[K", stderr);
	fputs("peal-cat: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("\n", stderr);
	_exit(status);
}
