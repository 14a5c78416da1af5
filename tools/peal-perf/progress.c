/*
 * SPDX-License-Identifier: MIT
 *
 * Progress. It is called between slices only; printing takes the terminal's time, not theirs.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

#define WIDTH 30
#define INTERVAL_S 0.2

static struct {
	bool shown;
	unsigned done, steps;
	double begun, printed;
	char label[40];
} bar;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void progress_begin(unsigned steps)
{
	bar.shown = isatty(STDERR_FILENO);
	bar.steps = steps;
	bar.done = 0;
	bar.begun = now();
	bar.printed = 0;
}

void progress_label(const char *label)
{
	snprintf(bar.label, sizeof(bar.label), "%s", label);
}

void progress_step(unsigned steps)
{
	double time = now();
	double part, left;
	int full;

	bar.done += steps;
	if (!bar.shown || !bar.steps || time - bar.printed < INTERVAL_S)
		return;
	bar.printed = time;
	part = bar.done < bar.steps ? (double)bar.done / bar.steps : 1;
	left = part > 0 ? (time - bar.begun) / part * (1 - part) : 0;
	full = (int)(part * WIDTH);
	fprintf(stderr, "\r\033[K%-24s [%.*s%*s] %3.0f %%, %.0f s left", bar.label, full,
		"##############################", WIDTH - full, "", part * 100, left + 0.5);
}

void progress_clear(void)
{
	if (bar.shown && bar.printed > 0)
		fputs("\r\033[K", stderr);
	bar.printed = 0;
}
