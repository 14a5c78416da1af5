/*
 * SPDX-License-Identifier: MIT
 *
 * peal-cat: joins the standard inputs and outputs of two processes by a link. This file is the
 * command line, and how the two meet.
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <peal.h>

#include "report.h"
#include "stream.h"
#include "tools/number.h"
#include "tools/standard.h"

#define TOOL "peal-cat"
#define RING_DEFAULT ((uint64_t)1 << 20)
#define RING_LARGEST ((uint64_t)1 << 30)
#define TIMEOUT_MOST 1e6
#define HANDSHAKE_NS INT64_C(5000000000)
#define PAUSE_NS 20000000

static void print_help(void)
{
	printf("Usage: peal-cat [OPTION]... ADDRESS     connect to who listens there\n"
	       "   or: peal-cat -l [OPTION]... ADDRESS  listen there, for one\n"
	       "Join two processes: what is the standard input of one is the standard output of the\n"
	       "other, both ways at once. Where an input ends, the other side's output does, and the\n"
	       "other direction goes on; when both have ended and all is written, both exit with 0.\n"
	       "\n"
	       "  -l, --listen           wait for a peer, the first that comes\n"
	       "  -p, --progress         tell bytes and rates on standard error\n"
	       "  -r, --ring SIZE        of the ring that this side sends into (1m): a power of two\n"
	       "                         from the page size to 1g; one of more than 64m on both sides\n"
	       "  -t, --timeout SECONDS  wait so long for the other side, also for one that listens;\n"
	       "                         else -l waits for ever, and who connects does not wait\n"
	       "  -h, --help             print this\n"
	       "  -V, --version          print the version\n"
	       "\n"
	       "An ADDRESS is a NAME, a path, @NAME, fd:N or systemd:NAME. Both sides must be of one\n"
	       "user, or one of root's.\n"
	       "\n"
	       "Exit code: %d: all that went in here came out there, and the other way; %d: it did not,\n"
	       "for the other side has gone or an input or output failed; %d: a bad command line; %d: no\n"
	       "other side was found, or it did not want us. Each but %d comes with a sentence.\n",
	       CAT_DONE, CAT_BROKEN, CAT_USAGE, CAT_ALONE, CAT_DONE);
	standard_help_end(TOOL);
}

struct wishes {
	const char *address;
	bool listen, progress;
	uint64_t ring;
	int64_t timeout; /* ns; PEAL_FOREVER: not said */
};

static int64_t take_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0 && seconds <= TIMEOUT_MOST))
		report_failure(CAT_USAGE, "timeout \"%s\" is out of range: give 0 to %.0f seconds",
			       text, TIMEOUT_MOST);
	return (int64_t)(seconds * 1e9);
}

/* A sentence about the command line, and where to read more. */
static _Noreturn void refuse(const char *sentence, const char *value)
{
	fprintf(stderr, "%s: %s%s%s%s\n", TOOL, sentence, value ? " \"" : "", value ? value : "",
		value ? "\"" : "");
	exit(standard_usage(TOOL, CAT_USAGE));
}

static struct wishes take_wishes(int argc, char **argv)
{
	static const struct option known[] = {
		{ "listen", no_argument, NULL, 'l' },
		{ "progress", no_argument, NULL, 'p' },
		{ "ring", required_argument, NULL, 'r' },
		{ "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct wishes wishes = { .ring = RING_DEFAULT, .timeout = PEAL_FOREVER };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hlpr:t:V", known, NULL)) != -1) {
		switch (option) {
		case 'l':
			wishes.listen = true;
			break;
		case 'p':
			wishes.progress = true;
			break;
		case 'r':
			if (!number_read(optarg, 1024, &wishes.ring) || !wishes.ring ||
			    wishes.ring > RING_LARGEST)
				report_failure(CAT_USAGE,
					       "ring \"%s\" is out of range: give a power of two, "
					       "up to 1g, such as 256k or 4m",
					       optarg);
			break;
		case 't':
			wishes.timeout = take_seconds(optarg);
			break;
		case 'h':
			print_help();
			exit(standard_finish(TOOL, CAT_DONE, CAT_BROKEN));
		case 'V':
			standard_version(TOOL);
			exit(standard_finish(TOOL, CAT_DONE, CAT_BROKEN));
		case ':':
			refuse("nothing stands behind", argv[optind - 1]);
		default:
			refuse("unknown option", standard_option(argv));
		}
	}
	if (optind != argc - 1)
		refuse(optind == argc ? "no address" : "more than one address", NULL);
	wishes.address = argv[optind];
	return wishes;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int wait_for_client(struct peal_link **link, const struct wishes *wishes,
			   const struct peal_options *options)
{
	struct peal_listener *listener;
	int err = peal_listen(&listener, wishes->address, options);

	if (err)
		return err;
	err = peal_accept(listener, link, wishes->timeout);
	if (err == -EAGAIN || err == -ETIMEDOUT)
		report_failure(CAT_ALONE, "nobody came to %s in time", wishes->address);
	if (!err)
		peal_listener_close(listener);
	return err;
}

/* Whether another try may find a server. */
static bool may_come(int err)
{
	return err == -ECONNREFUSED || err == -ENOENT || err == -ECONNRESET;
}

static int find_server(struct peal_link **link, const struct wishes *wishes,
		       const struct peal_options *options)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int64_t end = now() + wishes->timeout;
	int err;

	if (wishes->timeout < 0)
		return peal_connect(link, wishes->address, options, HANDSHAKE_NS);
	for (;;) {
		int64_t left = end - now();

		err = peal_connect(link, wishes->address, options, left > 0 ? left : 0);
		if (!may_come(err) || left < PAUSE_NS)
			return err;
		nanosleep(&pause, NULL);
	}
}

/* Descriptors that the process was not given would be taken by the first that it opens. */
static void want_standard_descriptors(void)
{
	if (fcntl(STDERR_FILENO, F_GETFD) < 0 && open("/dev/null", O_WRONLY) == STDERR_FILENO)
		fcntl(STDERR_FILENO, F_SETFD, 0);
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		report_failure(CAT_BROKEN, "standard input is closed: give </dev/null for nothing");
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
		report_failure(CAT_BROKEN,
			       "standard output is closed: give >/dev/null for nowhere");
}

int main(int argc, char **argv)
{
	const struct wishes wishes = take_wishes(argc, argv);
	struct peal_options options;
	struct peal_link *link;
	int err;

	want_standard_descriptors();
	/* An output that is closed is an error like others. */
	signal(SIGPIPE, SIG_IGN);
	peal_options_init(&options);
	options.ring = wishes.ring;
	if (wishes.ring > (uint64_t)64 << 20)
		options.max_peer_ring = RING_LARGEST;
	err = wishes.listen ? wait_for_client(&link, &wishes, &options) :
			      find_server(&link, &wishes, &options);
	if (err)
		report_failure(err == -EINVAL || err == -ERANGE || err == -ENAMETOOLONG ?
				       CAT_USAGE :
				       CAT_ALONE,
			       "%s", peal_error());
	if (wishes.progress)
		report_progress_begin(link);
	stream_run(link);
	report_progress_end();
	peal_close(link);
	return CAT_DONE;
}
