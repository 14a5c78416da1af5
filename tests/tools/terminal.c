/*
 * SPDX-License-Identifier: MIT
 *
 * A terminal for tests: runs a program in one of a given size, types what it is told to, and shows
 * what stands there, as text. It understands as much of an xterm as ncurses makes use of, and knows
 * nothing of the program.
 *
 * Usage: terminal COLUMNSxLINES COMMAND [ARGUMENT]..., with these in standard input, a line each:
 *   wait TEXT     until TEXT stands somewhere, for at most 30 seconds
 *   unless TEXT   until it stands nowhere
 *   type TEXT     the keys; \t is Tab, and up, down, pagedown, ... are said by "key"
 *   key NAME
 *   size COLUMNSxLINES
 *   run COMMAND   a shell's, to its end; $PROGRAM is the process
 *   print         the screen, with no spaces behind lines
 *   colours       the same, with the colours (SGR) as well
 *   end           until the program has ended; prints "status N"
 *   stay          the same without a limit, and prints "cpu SECONDS of SECONDS" as well
 * What it waits for in vain ends it with 1, a sentence and the screen.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COLUMNS_MAX 300
#define LINES_MAX 100
#define PATIENCE_S 30
#define FOREVER_S 1000000
#define NUMBERS 16

struct cell {
	char text;
	uint8_t colour; /* 0: default; else 1 + that of SGR 30 to 37 */
	uint8_t ground;
	uint8_t style; /* 1 bold, 2 underlined, 4 reverse */
};

static struct cell grid[LINES_MAX][COLUMNS_MAX];
static int columns, lines, x, y, top, bottom;
static bool wraps; /* the last column was written, and the next character goes below */
static struct cell pen = { ' ', 0, 0, 0 };
static pid_t child;
static int terminal, status = -1;

/* --- what the program writes ---------------------------------------------------------------- */

static void blank(int line, int from, int to)
{
	for (int i = from; i < to && i < COLUMNS_MAX; i++)
		grid[line][i] = (struct cell){ ' ', 0, pen.ground, 0 };
}

/* Moves the lines of the region up, or down (count < 0). */
static void scroll_lines(int from, int to, int count)
{
	for (; count > 0; count--) {
		memmove(grid[from], grid[from + 1], (size_t)(to - from) * sizeof(grid[0]));
		blank(to, 0, columns);
	}
	for (; count < 0; count++) {
		memmove(grid[from + 1], grid[from], (size_t)(to - from) * sizeof(grid[0]));
		blank(from, 0, columns);
	}
}

static void line_feed(void)
{
	if (y == bottom)
		scroll_lines(top, bottom, 1);
	else if (y < lines - 1)
		y++;
}

static void put(char c)
{
	if (wraps) {
		x = 0;
		line_feed();
		wraps = false;
	}
	grid[y][x] = pen;
	grid[y][x].text = c;
	if (x == columns - 1)
		wraps = true;
	else
		x++;
}

static int clamp(int value, int most)
{
	return value < 0 ? 0 : value > most ? most : value;
}

static void go(int line, int column)
{
	y = clamp(line, lines - 1);
	x = clamp(column, columns - 1);
	wraps = false;
}

static void dress(const int *numbers, int count)
{
	for (int i = 0; i < count; i++) {
		int n = numbers[i];

		if (!n)
			pen = (struct cell){ ' ', 0, 0, 0 };
		else if (n == 1)
			pen.style |= 1;
		else if (n == 4)
			pen.style |= 2;
		else if (n == 7)
			pen.style |= 4;
		else if (n == 22)
			pen.style &= (uint8_t)~1;
		else if (n == 24)
			pen.style &= (uint8_t)~2;
		else if (n == 27)
			pen.style &= (uint8_t)~4;
		else if (n >= 30 && n <= 39)
			pen.colour = n == 39 ? 0 : (uint8_t)(n - 29);
		else if (n >= 40 && n <= 49)
			pen.ground = n == 49 ? 0 : (uint8_t)(n - 39);
	}
}

static void shift_cells(int count)
{
	struct cell *line = grid[y];

	if (count > 0) { /* insert */
		count = clamp(count, columns - x);
		memmove(line + x + count, line + x, (size_t)(columns - x - count) * sizeof(*line));
		blank(y, x, x + count);
	} else {
		count = clamp(-count, columns - x);
		memmove(line + x, line + x + count, (size_t)(columns - x - count) * sizeof(*line));
		blank(y, columns - count, columns);
	}
}

static void erase_screen(int how)
{
	blank(y, how ? 0 : x, how == 1 ? x + 1 : columns);
	for (int i = 0; i < lines; i++)
		if (how == 2 || (how == 1 && i < y) || (!how && i > y))
			blank(i, 0, columns);
}

/* What begins with CSI: its numbers, and its last character. */
static void control(const int *numbers, int count, char last)
{
	int first = numbers[0], n = first ? first : 1;
	char again;

	switch (last) {
	case 'H':
	case 'f':
		go(n - 1, (count > 1 && numbers[1] ? numbers[1] : 1) - 1);
		break;
	case 'A':
		go(y - n, x);
		break;
	case 'B':
		go(y + n, x);
		break;
	case 'C':
		go(y, x + n);
		break;
	case 'D':
		go(y, x - n);
		break;
	case 'G':
		go(y, n - 1);
		break;
	case 'd':
		go(n - 1, x);
		break;
	case 'J':
		erase_screen(first);
		break;
	case 'K':
		blank(y, first ? 0 : x, first == 1 ? x + 1 : columns);
		break;
	case 'X':
		blank(y, x, clamp(x + n, columns));
		break;
	case '@':
		shift_cells(n);
		break;
	case 'P':
		shift_cells(-n);
		break;
	case 'L':
		scroll_lines(y, bottom, -clamp(n, bottom - y + 1));
		break;
	case 'M':
		scroll_lines(y, bottom, clamp(n, bottom - y + 1));
		break;
	case 'S':
		scroll_lines(top, bottom, clamp(n, bottom - top + 1));
		break;
	case 'T':
		scroll_lines(top, bottom, -clamp(n, bottom - top + 1));
		break;
	case 'b':
		again = x ? grid[y][wraps ? x : x - 1].text : ' ';
		while (n--)
			put(again);
		break;
	case 'r':
		top = clamp(n - 1, lines - 1);
		bottom = count > 1 && numbers[1] ? clamp(numbers[1] - 1, lines - 1) : lines - 1;
		go(0, 0);
		break;
	case 'm':
		dress(numbers, count);
		break;
	default: /* modes and questions change nothing here */
		break;
	}
}

/* One character at a time, since a read may end anywhere. */
static void take(char c)
{
	static enum { PLAIN, ESCAPE, CONTROL, CHARSET, TITLE } state;
	static int numbers[NUMBERS], count;
	static bool private;

	switch (state) {
	case PLAIN:
		if (c == '\033')
			state = ESCAPE;
		else if (c == '\r')
			go(y, 0);
		else if (c == '\n')
			line_feed();
		else if (c == '\b')
			go(y, x - 1);
		else if (c == '\t')
			go(y, (x + 8) / 8 * 8);
		else if ((unsigned char)c >= ' ' && c != 0x7f)
			put(c);
		break;
	case ESCAPE:
		state = PLAIN;
		if (c == '[') {
			state = CONTROL;
			memset(numbers, 0, sizeof(numbers));
			count = 1;
			private = false;
		} else if (c == '(' || c == ')') {
			state = CHARSET;
		} else if (c == ']') {
			state = TITLE;
		} else if (c == 'M') {
			if (y == top)
				scroll_lines(top, bottom, -1);
			else
				go(y - 1, x);
		}
		break;
	case CONTROL:
		if (c >= '0' && c <= '9') {
			numbers[count - 1] = clamp(numbers[count - 1] * 10 + (c - '0'), 9999);
		} else if (c == ';' && count < NUMBERS) {
			count++;
		} else if (c >= '<' && c <= '?') {
			private = true;
		} else if (c >= '@') {
			if (!private)
				control(numbers, count, c);
			state = PLAIN;
		}
		break;
	case CHARSET:
		state = PLAIN;
		break;
	case TITLE:
		if (c == '\a' || c == '\\')
			state = PLAIN;
		break;
	}
}

/* --- what the test wants -------------------------------------------------------------------- */

static void resize(const char *text)
{
	struct winsize size;
	int was = columns, had = lines;

	if (sscanf(text, "%dx%d", &columns, &lines) != 2 || columns < 3 || lines < 3 ||
	    columns > COLUMNS_MAX || lines > LINES_MAX) {
		fprintf(stderr, "terminal: no size: %s\n", text);
		exit(2);
	}
	for (int i = 0; i < lines; i++)
		blank(i, i < had ? was : 0, columns);
	size = (struct winsize){ .ws_col = (unsigned short)columns,
				 .ws_row = (unsigned short)lines };
	top = 0;
	bottom = lines - 1;
	go(y, x);
	if (terminal > 0)
		ioctl(terminal, TIOCSWINSZ, &size);
}

static void print_cell(const struct cell *cell, const struct cell *before)
{
	if (cell->colour != before->colour || cell->ground != before->ground ||
	    cell->style != before->style) {
		printf("\033[0");
		if (cell->style & 1)
			printf(";1");
		if (cell->style & 2)
			printf(";4");
		if (cell->style & 4)
			printf(";7");
		if (cell->colour)
			printf(";%d", cell->colour + 29);
		if (cell->ground)
			printf(";%d", cell->ground + 39);
		putchar('m');
	}
	putchar(cell->text);
}

static void print(FILE *file, bool colours)
{
	static const struct cell none;

	for (int i = 0; i < lines; i++) {
		int length = columns;

		while (length && grid[i][length - 1].text == ' ' && !colours)
			length--;
		for (int j = 0; j < length; j++) {
			if (colours)
				print_cell(&grid[i][j], j ? &grid[i][j - 1] : &none);
			else
				fputc(grid[i][j].text, file);
		}
		fputs(colours ? "\033[0m\n" : "\n", file);
	}
	fflush(file);
}

static bool stands(const char *text)
{
	char line[COLUMNS_MAX + 1];

	for (int i = 0; i < lines; i++) {
		for (int j = 0; j < columns; j++)
			line[j] = grid[i][j].text;
		line[columns] = '\0';
		if (strstr(line, text))
			return true;
	}
	return false;
}

/* Takes in what has been written, for so long at most. False: that was the end of it. */
static bool read_some(int milliseconds)
{
	struct pollfd ready = { .fd = terminal, .events = POLLIN };
	char text[4096];
	ssize_t length;

	if (poll(&ready, 1, milliseconds) <= 0)
		return true;
	length = read(terminal, text, sizeof(text));
	for (ssize_t i = 0; i < length; i++)
		take(text[i]);
	return length > 0;
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static void give_up(const char *what, const char *text)
{
	fprintf(stderr, "terminal: not within %d s: %s %s\n", PATIENCE_S, what, text);
	print(stderr, false);
	kill(child, SIGKILL);
	exit(1);
}

static void wait_for(const char *text, bool wanted)
{
	time_t end = now() + PATIENCE_S;

	while (stands(text) != wanted)
		if (!read_some(100) || now() > end)
			give_up(wanted ? "wait" : "unless", text);
	/* What is being drawn is drawn to its end, mostly in the same write. */
	while (read_some(0)) {
		struct pollfd ready = { .fd = terminal, .events = POLLIN };

		if (poll(&ready, 1, 20) <= 0)
			break;
	}
}

static void wait_for_end(time_t patience)
{
	time_t end = now() + patience;

	while (waitpid(child, &status, WNOHANG) != child) {
		if (!read_some(20))
			usleep(1000);
		if (now() > end)
			give_up("end", "");
	}
	while (read_some(20)) {
		struct pollfd ready = { .fd = terminal, .events = POLLIN };

		if (poll(&ready, 1, 20) <= 0)
			break;
	}
	printf("status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	fflush(stdout);
}

static double seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void stay(void)
{
	double begin = seconds();
	struct rusage used;

	wait_for_end(FOREVER_S);
	getrusage(RUSAGE_CHILDREN, &used);
	printf("cpu %.3f of %.3f\n",
	       (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
	       seconds() - begin);
	fflush(stdout);
}

static void type(const char *text)
{
	for (; *text; text++) {
		char key = *text;

		if (key == '\\' && text[1] == 't') {
			key = '\t';
			text++;
		}
		if (write(terminal, &key, 1) != 1)
			give_up("type", text);
	}
}

/* As xterm sends them in the mode that keypad() asks for. */
static void press(const char *name)
{
	static const struct {
		const char *name, *sent;
	} keys[] = {
		{ "up", "\033OA" },  { "down", "\033OB" },    { "home", "\033OH" },
		{ "end", "\033OF" }, { "pageup", "\033[5~" }, { "pagedown", "\033[6~" },
	};

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(name, keys[i].name) &&
		    write(terminal, keys[i].sent, strlen(keys[i].sent)) > 0)
			return;
	give_up("key", name);
}

static void obey(const char *order, const char *text)
{
	if (!strcmp(order, "wait"))
		wait_for(text, true);
	else if (!strcmp(order, "unless"))
		wait_for(text, false);
	else if (!strcmp(order, "type"))
		type(text);
	else if (!strcmp(order, "key"))
		press(text);
	else if (!strcmp(order, "size"))
		resize(text);
	else if (!strcmp(order, "run")) {
		if (system(text)) /* what the test says */
			give_up("run", text);
	} else if (!strcmp(order, "print"))
		print(stdout, false);
	else if (!strcmp(order, "colours"))
		print(stdout, true);
	else if (!strcmp(order, "end"))
		wait_for_end(PATIENCE_S);
	else if (!strcmp(order, "stay"))
		stay();
	else
		give_up("what?", order);
}

/* The terminal's other end is open before the program runs: it has a size, and has not hung up. */
static int open_terminal(const char *size)
{
	const char *name;
	int fd = -1;

	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal >= 0 && !grantpt(terminal) && !unlockpt(terminal) &&
	    (name = ptsname(terminal)))
		fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		perror("terminal: no pseudo-terminal");
		exit(77);
	}
	resize(size);
	return fd;
}

static void start(char **argv, int fd)
{
	char number[24];

	child = fork();
	if (child) {
		snprintf(number, sizeof(number), "%d", child);
		setenv("PROGRAM", number, 1);
		return;
	}
	setsid();
	if (ioctl(fd, TIOCSCTTY, 0) || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(127);
	setenv("TERM", "xterm", 0);
	unsetenv("LINES");
	unsetenv("COLUMNS");
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

int main(int argc, char **argv)
{
	char line[1024];
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: terminal COLUMNSxLINES COMMAND [ARGUMENT]...\n");
		return 2;
	}
	for (int i = 0; i < LINES_MAX; i++)
		blank(i, 0, COLUMNS_MAX);
	fd = open_terminal(argv[1]);
	start(argv + 2, fd);
	close(fd);
	while (fgets(line, sizeof(line), stdin)) {
		char *text;

		line[strcspn(line, "\n")] = '\0';
		text = line + strcspn(line, " ");
		if (*text)
			*text++ = '\0';
		if (*line && *line != '#')
			obey(line, text);
	}
	if (status < 0)
		kill(child, SIGKILL);
	return 0;
}
