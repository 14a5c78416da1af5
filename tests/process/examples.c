/*
 * SPDX-License-Identifier: MIT
 *
 * The examples: they are as short as they are said to be, and print what they should.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINES_MAX 25

START_TEST(every_example_has_at_most_25_lines)
	{
		DIR *folder = opendir(runner_source("examples"));
		struct dirent *entry;
		unsigned files = 0;

		ck_assert_ptr_nonnull(folder);
		while ((entry = readdir(folder))) {
			size_t length = strlen(entry->d_name);
			unsigned lines = 0;
			char path[512];
			FILE *file;
			int c;

			if (length < 3 || strcmp(entry->d_name + length - 2, ".c") != 0)
				continue;
			snprintf(path, sizeof(path), "examples/%s", entry->d_name);
			file = fopen(runner_source(path), "re");
			ck_assert_ptr_nonnull(file);
			while ((c = getc(file)) != EOF)
				lines += c == '\n';
			fclose(file);
			ck_assert_msg(lines <= LINES_MAX, "%s has %u lines", path, lines);
			files++;
		}
		closedir(folder);
		ck_assert_uint_ge(files, 2);
	}
END_TEST

/* Whether a process has no capability at all. */
static bool has_none(pid_t pid)
{
	unsigned long long effective = 1;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	fclose(file);
	return effective == 0;
}

/* For a child that is about to exec: afterwards it has no capabilities, root or not, and may lock
 * no memory. */
static void become_poor(void)
{
	struct rlimit nothing = { 0, 0 };

	for (unsigned long i = 0; i < 64; i++)
		prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	setrlimit(RLIMIT_MEMLOCK, &nothing);
}

static bool poor; /* what is started shall be */

/* Starts a program with one or two arguments; what it prints on one of its descriptors can be read
 * from *out. */
static pid_t start(const char *program, const char *first, const char *second, int which, int *out)
{
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		dup2(ends[1], which);
		if (poor)
			become_poor();
		runner_exec(runner_built(program),
			    (char *[]){ (char *)(uintptr_t)program, (char *)(uintptr_t)first,
					(char *)(uintptr_t)second, NULL });
		_exit(127);
	}
	close(ends[1]);
	*out = ends[0];
	return pid;
}

static void read_line(int from, char line[512])
{
	size_t length = 0;

	while (!length || line[length - 1] != '\n') {
		struct pollfd look = { .fd = from, .events = POLLIN };

		ck_assert_msg(poll(&look, 1, (int)(SCENE_PATIENCE / MS)) == 1, "it prints nothing");
		ck_assert_uint_lt(length, 511);
		ck_assert_msg(read(from, line + length, 1) == 1, "it ended without a word");
		length++;
	}
	line[length - 1] = '\0';
}

static int status_of(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	return status;
}

static bool listens(void *path)
{
	struct peal_link *link;
	int err = peal_connect(&link, path, NULL, SCENE_PATIENCE);

	ck_assert_msg(!err || err == -ECONNREFUSED, "%d %s", err, peal_error());
	if (!err)
		peal_close(link);
	return !err;
}

START_TEST(the_echo_client_prints_what_the_echo_server_sends_back)
	{
		static const char *const texts[] = { "hello", "", "two words" };
		char address[108], line[512];
		int server_says, client_out;
		pid_t server, client;

		poor = _i == 1;
		snprintf(address, sizeof(address), "%s", scene_path("echo"));
		server = start("examples/echo-server", address, NULL, STDERR_FILENO, &server_says);
		ck_assert_msg(scene_until(listens, address), "the echo server does not start");
		if (poor && !has_none(server))
			skip("capabilities cannot be dropped here");
		read_line(server_says, line);
		ck_assert_str_eq(line, "examples left: the peer has closed the link");
		for (unsigned i = 0; i < 3; i++) {
			client = start("examples/echo-client", address, texts[i], STDOUT_FILENO,
				       &client_out);
			read_line(client_out, line);
			ck_assert_str_eq(line, texts[i]);
			ck_assert_int_eq(read(client_out, line, 1), 0);
			ck_assert_int_eq(status_of(client), 0);
			close(client_out);
			read_line(server_says, line);
			ck_assert_str_eq(line, "echo-client left: the peer has closed the link");
		}
		/* A second server is told why it cannot be. */
		client = start("examples/echo-server", address, NULL, STDERR_FILENO, &client_out);
		read_line(client_out, line);
		ck_assert_ptr_nonnull(strstr(line, "another server listens at"));
		ck_assert_int_eq(WEXITSTATUS(status_of(client)), 1);
		close(client_out);
		/* And a client that there is none. */
		ck_assert_int_eq(kill(server, SIGKILL), 0);
		status_of(server);
		close(server_says);
		client = start("examples/echo-client", address, "hello", STDERR_FILENO,
			       &client_out);
		read_line(client_out, line);
		ck_assert_ptr_nonnull(strstr(line, "no server at"));
		ck_assert_int_eq(WEXITSTATUS(status_of(client)), 1);
		close(client_out);
	}
END_TEST

START_TEST(the_calls_of_a_client_outlive_their_server)
	{
		char address[108], line[512];
		int in[2], out = -1, server_says;
		pid_t server, client = 0;

		snprintf(address, sizeof(address), "%s", scene_path("calls"));
		ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
		ck_assert_int_eq(dup2(in[0], STDIN_FILENO), STDIN_FILENO);
		for (int i = 0; i < 3; i++) {
			server = start("examples/echo-server", address, NULL, STDERR_FILENO,
				       &server_says);
			if (!client)
				client = start("examples/echo-calls", address, NULL, STDOUT_FILENO,
					       &out);
			ck_assert_int_eq(write(in[1], "ding dong\n", 10), 10);
			read_line(out, line);
			ck_assert_str_eq(line, "ding dong");
			ck_assert_int_eq(kill(server, SIGKILL), 0);
			status_of(server);
			close(server_says);
		}
		close(in[1]);
		close(in[0]);
		close(STDIN_FILENO);
		ck_assert_int_eq(status_of(client), 0);
		close(out);
	}
END_TEST

/* Whether somebody listens there, without a handshake: those that serve one client are not to take
 * this for it. */
static bool answers_a_knock(void *address)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool there;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", (const char *)address);
	there = !connect(fd, (const struct sockaddr *)&name, sizeof(name));
	close(fd);
	return there;
}

START_TEST(the_echo_servers_in_event_loops_answer_and_see_their_client_leave)
	{
		static const struct {
			const char *program;
			int clients; /* that it serves, and then ends; 0: it goes on */
		} loops[] = {
			{ "examples/echo-epoll", 1 },
			{ "examples/echo-libuv", 1 },
			{ "examples/echo-glib", 1 },
			{ "examples/echo-set", 0 },
		};
		char address[108], line[512];
		int out, client_out;
		pid_t server, client;

		if (access(runner_built(loops[_i].program), X_OK)) {
			skip("%s is not built: its library is not there", loops[_i].program);
			return;
		}
		snprintf(address, sizeof(address), "%s", scene_path("loop"));
		server = start(loops[_i].program, address, NULL, STDERR_FILENO, &out);
		ck_assert_msg(scene_until(answers_a_knock, address), "it does not start");
		for (int i = 0; i < (loops[_i].clients ? loops[_i].clients : 5); i++) {
			client = start("examples/echo-client", address, "ding dong", STDOUT_FILENO,
				       &client_out);
			read_line(client_out, line);
			ck_assert_str_eq(line, "ding dong");
			ck_assert_int_eq(status_of(client), 0);
			close(client_out);
		}
		if (!loops[_i].clients)
			ck_assert_int_eq(kill(server, SIGKILL), 0);
		ck_assert_int_eq(WEXITSTATUS(status_of(server)), 0);
		close(out);
	}
END_TEST

START_TEST(two_of_a_kind_exchange_what_is_longer_than_their_rings)
	{
		char address[108], line[512];
		int said[2];
		pid_t pids[2];

		snprintf(address, sizeof(address), "%s", scene_path("exchange"));
		for (int i = 0; i < 2; i++) {
			pids[i] = start("examples/exchange", address, NULL, STDOUT_FILENO,
					&said[i]);
			/* The first must listen before the second comes: a name is not enough. */
			ck_assert_msg(i || scene_until(answers_a_knock, address),
				      "it does not listen");
		}
		for (int i = 0; i < 2; i++) {
			read_line(said[i], line);
			ck_assert_str_eq(line, "sent: 0, received: 8388608");
			ck_assert_int_eq(status_of(pids[i]), 0);
			close(said[i]);
		}
	}
END_TEST

/* A socket of this process with a name. */
static int named(int type, const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

/* As systemd starts a service: with a socket that listens, and one to tell it by. */
static pid_t start_service(const char *program, const char *address, int listening,
			   const char *told)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		char number[16];

		/* 3, and without close-on-exec: what dup2 does to the same number is nothing. */
		if (listening == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(listening, 3);
		snprintf(number, sizeof(number), "%ld", (long)getpid());
		setenv("LISTEN_PID", number, 1);
		setenv("LISTEN_FDS", "1", 1);
		setenv("LISTEN_FDNAMES", "echo", 1);
		setenv("NOTIFY_SOCKET", told, 1);
		runner_exec(runner_built(program), (char *[]){ (char *)(uintptr_t)program,
							       (char *)(uintptr_t)address, NULL });
		_exit(127);
	}
	return pid;
}

static void expect_told(int from, const char *state)
{
	struct pollfd look = { .fd = from, .events = POLLIN };
	char text[64];
	ssize_t length;

	ck_assert_msg(poll(&look, 1, (int)(SCENE_PATIENCE / MS)) == 1, "it does not say %s", state);
	length = recv(from, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(length, 0);
	text[length] = '\0';
	ck_assert_str_eq(text, state);
}

START_TEST(the_echo_service_is_started_by_its_socket_and_says_when_it_is_ready)
	{
		char address[108], told_at[108], line[512];
		int listening, told, client_out, in[2], answers;
		pid_t service, client, caller;

		snprintf(address, sizeof(address), "%s", scene_path("service"));
		snprintf(told_at, sizeof(told_at), "%s", scene_path("told"));
		listening = named(SOCK_SEQPACKET, address);
		ck_assert_int_eq(listen(listening, 8), 0);
		told = named(SOCK_DGRAM, told_at);
		/* Its calls go on from one service to the next, and wait for it in the socket. */
		ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
		ck_assert_int_eq(dup2(in[0], STDIN_FILENO), STDIN_FILENO);
		caller = start("examples/echo-calls", address, NULL, STDOUT_FILENO, &answers);
		/* The second finds the socket as the first has left it. */
		for (int i = 0; i < 2; i++) {
			service = start_service("examples/echo-service", "systemd:echo", listening,
						told_at);
			expect_told(told, "READY=1");
			ck_assert_int_eq(write(in[1], "again\n", 6), 6);
			read_line(answers, line);
			ck_assert_str_eq(line, "again");
			for (int j = 0; j < 3; j++) {
				client = start("examples/echo-client", address, "ding dong",
					       STDOUT_FILENO, &client_out);
				read_line(client_out, line);
				ck_assert_str_eq(line, "ding dong");
				ck_assert_int_eq(status_of(client), 0);
				close(client_out);
			}
			ck_assert_int_eq(kill(service, SIGTERM), 0);
			expect_told(told, "STOPPING=1");
			ck_assert_int_eq(status_of(service), 0);
		}
		close(in[1]);
		close(in[0]);
		close(STDIN_FILENO);
		ck_assert_int_eq(status_of(caller), 0);
		close(answers);
		close(listening);
		close(told);
	}
END_TEST

static Suite *examples(void)
{
	Suite *suite = suite_create("examples");
	TCase *tcase = scene_case("examples");

	tcase_add_test(tcase, every_example_has_at_most_25_lines);
	tcase_add_test(tcase, the_calls_of_a_client_outlive_their_server);
	tcase_add_loop_test(
		tcase, the_echo_servers_in_event_loops_answer_and_see_their_client_leave, 0, 4);
	/* And without capabilities and locked memory. */
	tcase_add_loop_test(tcase, the_echo_client_prints_what_the_echo_server_sends_back, 0, 2);
	tcase_add_test(tcase, two_of_a_kind_exchange_what_is_longer_than_their_rings);
	tcase_add_test(tcase, the_echo_service_is_started_by_its_socket_and_says_when_it_is_ready);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { examples, NULL };

	return runner_main(suites);
}
