/*
 * SPDX-License-Identifier: MIT
 *
 * The screen, by ncurses. It is drawn when there is a new sample or a key was pressed, and only as
 * much of the table as can be seen.
 */
#include "config.h"

#include <errno.h>

#include "screen.h"

#ifdef HAVE_NCURSES
#include <curses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format.h"
#include "output.h"

#define FIRST_NS UINT64_C(250000000) /* nobody waits long for the first rates */
#define TABLE_LEAST 4                /* lines that the bars leave to the table */
#define STEP_MS 1000                 /* to look after the terminal, if nothing comes */

enum { LOOK = 1, WRONG, TITLE, SORTED, QUIET };

/* What ended it, if a signal did. Before ncurses, whose own handler would exit with 1. */
static volatile sig_atomic_t ended_by;

static void end_by(int number)
{
	ended_by = number;
}

struct screen {
	struct target *target;
	enum view view, before; /* before: where o leads back to */
	const struct column *sort;
	bool reverse, paused, help;
	unsigned top;  /* the first client that is shown */
	unsigned rows; /* how many were */
	const struct client **order;
	unsigned room;
};

bool screen_is_built(void)
{
	return true;
}

static int begin(bool colour)
{
	SCREEN *terminal = newterm(NULL, stdout, stdin);

	if (!terminal)
		return -ENOTTY;
	set_term(terminal);
	/* One that cannot be told where to write, "dumb", would fill with blanks. */
	if (!tigetstr("cup")) {
		endwin();
		delscreen(terminal);
		return -ENOTTY;
	}
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	curs_set(0);
	set_escdelay(50);
	if (colour && has_colors() && start_color() == OK) {
		use_default_colors();
		init_pair(LOOK, COLOR_YELLOW, -1);
		init_pair(WRONG, COLOR_RED, -1);
		init_pair(TITLE, COLOR_BLACK, COLOR_GREEN);
		init_pair(SORTED, COLOR_BLACK, COLOR_CYAN);
		init_pair(QUIET, COLOR_CYAN, -1);
	}
	return 0;
}

static chtype paint(int pair, chtype without)
{
	return has_colors() && COLOR_PAIRS > QUIET ? (chtype)COLOR_PAIR(pair) : without;
}

/* A text from column x on, as far as the line goes; returns the next column. */
static int put(int y, int x, const char *text, chtype attributes)
{
	if (y >= LINES || x >= COLS)
		return x;
	attrset((int)attributes);
	mvaddnstr(y, x, text, COLS - x);
	attrset(A_NORMAL);
	return x + (int)strlen(text);
}

static void draw_heading(const struct screen *screen)
{
	char lines[HEADING_LINES][HEADING_SIZE];

	text_heading(screen->target, screen->paused, lines);
	put(0, 0, lines[0], A_BOLD);
	put(1, 0, lines[1],
	    screen->target->silent_ns ? paint(WRONG, A_BOLD) | A_BOLD : (chtype)A_NORMAL);
	put(2, 0, lines[2], paint(QUIET, A_NORMAL));
	put(3, 0, lines[3], A_NORMAL);
	put(4, 0, lines[4], A_NORMAL);
}

/* The bars, from a line on, in at most so many, of which two are titles; returns the next line. */
static int draw_offcpu(const struct sample *sample, int y, int most)
{
	static char bars[HISTOGRAM_SIZE];
	struct peal_offcpu in, out;
	char *line = bars;

	if (!text_offcpu(sample, &in, &out)) {
		put(y++, 0,
		    "No wait was measured: the server measures one in N of those that sleep",
		    A_NORMAL);
		put(y++, 0, "if PEAL_SAMPLE=N is in its environment, or in its options.sample.",
		    A_NORMAL);
		return y;
	}
	if (most < 3)
		return y;
	text_histogram(&in, &out, COLS, (unsigned)most - 2, bars, sizeof(bars));
	for (int i = 0; *line; i++) {
		size_t length = strcspn(line, "\n");
		char *next = line + length + (line[length] == '\n');

		line[length] = '\0';
		put(y++, 0, line, i < 2 ? paint(QUIET, A_NORMAL) : (chtype)A_NORMAL);
		line = next;
	}
	return y;
}

static void draw_titles(const struct screen *screen, const struct layout *layout, int y)
{
	char cell[COLUMN_SIZE];
	int x = 0;

	for (unsigned i = 0; i < layout->count; i++) {
		bool sorted = layout->columns[i] == screen->sort;

		if (i)
			x = put(y, x, " ", paint(TITLE, A_REVERSE));
		layout_cell(layout, i, layout->columns[i]->title, cell, sizeof(cell));
		x = put(y, x, cell,
			sorted ? paint(SORTED, A_REVERSE | A_UNDERLINE | A_BOLD) :
				 paint(TITLE, A_REVERSE));
	}
	while (y < LINES && x < COLS)
		x = put(y, x, " ", paint(TITLE, A_REVERSE));
}

static void draw_client(const struct client *client, const struct layout *layout, int y)
{
	char cell[COLUMN_SIZE], text[COLUMN_SIZE];
	int x = 0;

	for (unsigned i = 0; i < layout->count; i++) {
		int alarm = column_alarm(layout->columns[i], client);

		column_text(layout->columns[i], client, text);
		layout_cell(layout, i, text, cell, sizeof(cell));
		x = put(y, x + !!i, cell,
			!alarm ? (chtype)A_NORMAL :
				 paint(alarm == 2 ? WRONG : LOOK, A_NORMAL) | A_BOLD);
	}
}

static int make_room(struct screen *screen)
{
	unsigned count = screen->target->sampler.now.count;
	const struct client **order;

	if (screen->order && count <= screen->room)
		return 0;
	order = realloc(screen->order, (count + 1u) * sizeof(*order));
	if (!order)
		return -ENOMEM;
	screen->order = order;
	screen->room = count;
	return 0;
}

static void draw_table(struct screen *screen, int y)
{
	struct sample *now = &screen->target->sampler.now;
	struct layout layout;

	if (make_room(screen))
		return;
	column_sort(screen->sort, screen->reverse, now, screen->order);
	layout_view(&layout, screen->view, COLS, now);
	draw_titles(screen, &layout, y++);
	screen->rows = LINES - 1 > y ? (unsigned)(LINES - 1 - y) : 0;
	if (screen->top + screen->rows > now->count)
		screen->top = now->count > screen->rows ? now->count - screen->rows : 0;
	for (unsigned i = 0; i < screen->rows && screen->top + i < now->count; i++)
		draw_client(screen->order[screen->top + i], &layout, y + (int)i);
}

static void draw_help(const struct screen *screen, int y)
{
	static const char *const keys[] = {
		"q          quit",
		"p, space   pause, and go on",
		"Tab, v     other columns: rates, rings, bells, off-CPU; o: off-CPU and back",
		"> s, < S   sort by the column to the right, to the left",
		"r          sort the other way round",
		"up, down, page up, page down, home, end: further clients",
		"h, ?       this, and back",
	};
	const struct column *column;
	char line[160];

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]) && y < LINES - 1; i++)
		put(y++, 0, keys[i], A_NORMAL);
	for (unsigned i = 0; (column = view_column(screen->view, i)) && y + 1 < LINES - 1; i++) {
		snprintf(line, sizeof(line), "%-7s %-12s %s", column->title, column->key,
			 column->about);
		put(++y, 0, line, A_NORMAL);
	}
	if (view_column(screen->view, 0) && column && y + 1 == LINES - 1 && COLS > 60)
		put(y, 0, "further columns: peal-top --help, or a higher terminal          ",
		    A_NORMAL);
}

static void draw_foot(const struct screen *screen)
{
	const struct sample *now = &screen->target->sampler.now;
	char line[200];
	int x = snprintf(line, sizeof(line), "%s by %s%s", view_name(screen->view),
			 screen->sort->key, screen->reverse ? ", reversed" : "");

	if (screen->rows && now->count > screen->rows)
		snprintf(line + x, sizeof(line) - (size_t)x, ", %u to %u of %u", screen->top + 1,
			 screen->top + screen->rows, now->count);
	move(LINES - 1, 0);
	clrtoeol();
	put(LINES - 1, 0, line, paint(QUIET, A_NORMAL));
	snprintf(line, sizeof(line), "q quit  p pause  Tab view  <> sort  h help");
	if (COLS - (int)strlen(line) > (int)strlen("rates by out-bytes-total, reversed"))
		put(LINES - 1, COLS - 1 - (int)strlen(line), line, paint(QUIET, A_NORMAL));
}

static void draw(struct screen *screen)
{
	int y = HEADING_LINES + 1;

	erase();
	draw_heading(screen);
	if (screen->help) {
		draw_help(screen, y);
	} else {
		if (screen->view == VIEW_OFFCPU)
			y = draw_offcpu(&screen->target->sampler.now, y,
					LINES - 2 - TABLE_LEAST - y) +
			    1;
		draw_table(screen, y);
	}
	draw_foot(screen);
	refresh();
}

/* Sorts by the next column of the view, or the one before. */
static void step_sort(struct screen *screen, int step)
{
	struct layout layout;
	unsigned at = 0;

	layout_view(&layout, screen->view, COLS, &screen->target->sampler.now);
	if (!layout.count)
		return;
	while (at < layout.count && layout.columns[at] != screen->sort)
		at++;
	if (at == layout.count)
		at = step > 0 ? layout.count - 1 : 0;
	at = (at + layout.count + (unsigned)step) % layout.count;
	screen->sort = layout.columns[at];
}

static void show_view(struct screen *screen, enum view view)
{
	if (view == VIEW_OFFCPU)
		screen->before = screen->view;
	screen->view = view;
}

static void scroll_by(struct screen *screen, long rows)
{
	long top = (long)screen->top + rows;

	screen->top = top > 0 ? (unsigned)top : 0; /* the end is found when it is drawn */
}

/* False: that is enough. */
static bool press(struct screen *screen, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 'p':
	case ' ':
		screen->paused = !screen->paused;
		break;
	case 'h':
	case '?':
		screen->help = !screen->help;
		break;
	case 'v':
	case '\t':
		show_view(screen, (screen->view + 1) % VIEWS);
		break;
	case 'o':
		show_view(screen, screen->view == VIEW_OFFCPU ? screen->before : VIEW_OFFCPU);
		break;
	case '>':
	case 's':
		step_sort(screen, 1);
		break;
	case '<':
	case 'S':
		step_sort(screen, -1);
		break;
	case 'r':
		screen->reverse = !screen->reverse;
		break;
	case KEY_UP:
		scroll_by(screen, -1);
		break;
	case KEY_DOWN:
		scroll_by(screen, 1);
		break;
	case KEY_PPAGE:
		scroll_by(screen, -(long)screen->rows);
		break;
	case KEY_NPAGE:
		scroll_by(screen, (long)screen->rows);
		break;
	case KEY_HOME:
		screen->top = 0;
		break;
	case KEY_END:
		scroll_by(screen, (long)screen->target->sampler.now.count);
		break;
	default:
		break;
	}
	return true;
}

/* Whether the terminal has gone: keys would never come, and at once. */
static bool hung_up(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, 0) > 0 && input.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static int run(struct screen *screen, const struct screen_wish *wish)
{
	uint64_t first = wish->interval_ns < FIRST_NS ? wish->interval_ns : FIRST_NS;
	uint64_t due = clock_now() + first, shown = 1, now;
	int key, err;

	for (;;) {
		draw(screen);
		do {
			now = clock_now();
			timeout(screen->paused || due > now + STEP_MS * UINT64_C(1000000) ?
					STEP_MS :
				due > now ? (int)((due - now + 999999) / 1000000) :
					    0);
			key = getch();
			if (ended_by || (key == ERR && hung_up()))
				return 0;
			now = clock_now();
		} while (key == ERR && (screen->paused || now < due));
		if (key != ERR && !press(screen, key))
			return 0;
		if (screen->paused || now < due)
			continue;
		if (wish->count && shown++ >= wish->count)
			return 0;
		err = target_look(screen->target);
		if (err)
			return err;
		/* One that was missed is not made up for. */
		due = due + wish->interval_ns > now ? due + wish->interval_ns :
						      now + wish->interval_ns;
	}
}

int screen_run(struct target *target, const struct screen_wish *wish)
{
	struct screen screen = { .target = target, .sort = wish->sort, .reverse = wish->reverse };
	struct sigaction action = { .sa_handler = end_by };
	int err;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	err = begin(wish->colour);
	if (err)
		return err;
	err = run(&screen, wish);
	endwin();
	free(screen.order);
	if (ended_by) {
		signal(ended_by, SIG_DFL);
		raise(ended_by);
	}
	return err;
}
#else
bool screen_is_built(void)
{
	return false;
}

int screen_run(struct target *target, const struct screen_wish *wish)
{
	(void)target;
	(void)wish;
	return -ENOTTY;
}
#endif
