/*
 * SPDX-License-Identifier: MIT
 *
 * A user's program that uses all there is in 0.1.0, and nothing of later versions: tests/abi/run
 * builds it with the headers of each version in abi/, and has it run with the library of today, and
 * talk to itself built with the headers of today. So each struct that the library writes has a
 * guard behind it: a library that took it for a longer one would be seen.
 *
 *     user alone              what one process can do
 *     user serve ADDRESS      a server, until a client says "stop"; "ready" when it listens
 *     user call ADDRESS       its client, its monitor, and links that do what they like
 *     user listen ADDRESS     echoes to one link, and looks at it from all sides
 *     user connect ADDRESS    is that link
 */
#include <peal.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND ((int64_t)1000000000)
#define LONG (20 * SECOND)

static void fail(int at, const char *what)
{
	fprintf(stderr, "user.c:%d: %s: %s\n", at, what, peal_error());
	exit(1);
}

#define OK(what) ((what) ? (void)0 : fail(__LINE__, #what))

/* A struct, and what must stay as it is behind it. */
#define GUARDED(type, name)                       \
	struct {                                  \
		type it;                          \
		unsigned char behind[512];        \
	} name;                                   \
	memset(&(name).it, 0, sizeof((name).it)); \
	memset((name).behind, 0xa5, sizeof((name).behind))

static void look_behind(const unsigned char *behind, int at)
{
	int i;

	for (i = 0; i < 512; i++)
		if (behind[i] != 0xa5)
			fail(at, "written behind a struct");
}

#define LOOK_BEHIND(name) look_behind((name).behind, __LINE__)

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 31 + (i >> 8));
}

static void *make_long(size_t length)
{
	unsigned char *made = malloc(length);
	size_t i;

	OK(made);
	for (i = 0; i < length; i++)
		made[i] = pattern(i);
	return made;
}

static int is_long(const void *data, size_t length)
{
	const unsigned char *bytes = data;
	size_t i;

	for (i = 0; i < length && bytes[i] == pattern(i); i++)
		;
	return i == length;
}

/* --- alone ------------------------------------------------------------------------------------ */

static int sum_up(void *data, const struct peal_message *message)
{
	*(int *)data += (int)message->length + (int)message->tag;
	return 0;
}

static void all_verbs(struct peal_tx *tx, struct peal_rx *rx)
{
	GUARDED(struct peal_message, message);
	struct peal_message batch[3];
	struct peal_sending part;
	struct iovec pieces[2];
	char text[8192], *around = make_long(8192);
	void *at;
	int i, sum = 0;

	memset(batch, 0, sizeof(batch));
	memset(&part, 0, sizeof(part));
	OK(peal_recv(rx, text, sizeof(text), NULL, 0) == -EAGAIN && *peal_error());
	OK(!peal_reserve(tx, 5, &at, LONG));
	memcpy(at, "inply", 5);
	OK(!peal_commit(tx, 5, 7));
	OK(peal_commit(tx, 5, 7) == -EINVAL);
	OK(!peal_reserve(tx, 5, &at, LONG));
	peal_abort(tx);
	OK(!peal_peek(rx, &message.it, LONG) && message.it.length == 5 && message.it.tag == 7);
	LOOK_BEHIND(message);
	OK(!memcmp(message.it.data, "inply", 5));
	peal_release(rx);
	OK(!peal_reserve(tx, 9, &at, LONG));
	memcpy(at, "held back", 9);
	OK(!peal_commit_more(tx, 9, 1));
	OK(!peal_send_more(tx, "two", 3, 2, LONG));
	OK(peal_recv(rx, text, sizeof(text), NULL, 0) == -EAGAIN);
	peal_flush(tx);
	OK(peal_drain(rx, sum_up, &sum, 0, LONG) == 2 && sum == 9 + 1 + 3 + 2);
	for (i = 0; i < 3; i++) {
		batch[i].data = "batch";
		batch[i].length = (size_t)i + 1;
		batch[i].tag = (uint32_t)i;
	}
	OK(peal_send_batch(tx, batch, 3, LONG) == 3);
	OK(peal_recv_batch(rx, text, sizeof(text), batch, 3, LONG) == 3);
	OK(batch[2].length == 3 && !memcmp(batch[2].data, "bat", 3));
	pieces[0].iov_base = around;
	pieces[0].iov_len = 100;
	pieces[1].iov_base = around + 100;
	pieces[1].iov_len = 8092;
	OK(!peal_sendv(tx, pieces, 2, 3, LONG));
	OK(peal_recv(rx, text, sizeof(text), &message.it, LONG) == 8192 && is_long(text, 8192));
	OK(!peal_send(tx, around, 8192, 4, LONG));
	OK(peal_recv(rx, text, 100, &message.it, LONG) == -ENOBUFS && message.it.length == 8192);
	OK(peal_recv(rx, text, sizeof(text), &message.it, LONG) == 8192 && is_long(text, 8192));
	part.data = around;
	part.length = 4000;
	OK(!peal_send_part(tx, &part, LONG));
	OK(peal_recv(rx, text, sizeof(text), NULL, LONG) == 4000 && is_long(text, 4000));
	OK(!peal_send_last(tx, "last", 4, 9, LONG));
	OK(peal_recv(rx, text, sizeof(text), &message.it, LONG) == 4);
	OK(message.it.flags == PEAL_HEADER_LAST);
	for (i = 0; !peal_send(tx, around, (size_t)i * 7, 5, 0); i++)
		;
	OK(i > 10);
	for (; i; i--)
		OK(peal_recv(rx, text, sizeof(text), &message.it, 0) >= 0);
	/* Round the ring some times, with all ways to copy. */
	for (i = 0; i < 20000; i++) {
		size_t length = (size_t)i % 5000;

		OK(!peal_send(tx, around, length, (uint32_t)i, LONG));
		OK(peal_recv(rx, text, sizeof(text), &message.it, LONG) == (ssize_t)length);
		OK(message.it.tag == (uint32_t)i && !memcmp(text, around, length));
	}
	LOOK_BEHIND(message);
	free(around);
}

static void what_is_told(struct peal_link *link)
{
	GUARDED(struct peal_stats, stats);
	GUARDED(struct peal_offcpu, tx);
	GUARDED(struct peal_offcpu, rx);
	GUARDED(struct peal_agreed, agreed);
	GUARDED(struct peal_memory, memory);

	stats.it.size = sizeof(stats.it);
	OK(!peal_link_stats(link, &stats.it));
	OK(stats.it.tx.messages && stats.it.tx.bytes && !stats.it.closed);
	OK(stats.it.size == sizeof(stats.it));
	LOOK_BEHIND(stats);
	OK(!peal_link_offcpu(link, &tx.it, &rx.it));
	LOOK_BEHIND(tx);
	LOOK_BEHIND(rx);
	agreed.it.size = sizeof(agreed.it);
	OK(!peal_link_agreed(link, &agreed.it));
	OK(agreed.it.abi == PEAL_ABI && agreed.it.peer_abi >= 1 && agreed.it.layout == 1);
	OK(agreed.it.ring == 65536 && agreed.it.largest == 65536 - 16);
	LOOK_BEHIND(agreed);
	memory.it.size = sizeof(memory.it);
	OK(!peal_link_memory(link, &memory.it));
	OK(memory.it.tx.bytes == 65536 && memory.it.rx.has & PEAL_MEMORY_TWICE);
	LOOK_BEHIND(memory);
	OK(peal_link_peer(link)->uid == peal_link_peer(link)->uid);
}

static void places(void)
{
	GUARDED(struct peal_cpu, cpu);
	struct peal_affinity *before;
	int chosen[3], pair[2], count = peal_cpu_list(NULL, 0);

	if (count < 0) {
		OK(count == -EPERM || count == -EACCES || count == -ENOSYS);
		return;
	}
	OK(peal_cpu_list(&cpu.it, 1) == count && cpu.it.allowed == 1);
	LOOK_BEHIND(cpu);
	OK(!peal_cpu_find(cpu.it.number, &cpu.it));
	LOOK_BEHIND(cpu);
	OK(peal_cpu_sharing(&cpu.it, &cpu.it) == PEAL_SAME_CPU);
	OK(peal_cpu_pair(PEAL_SAME_LLC, pair) >= 0);
	OK(peal_cpu_choose(chosen, 3, -1, -1) >= 1);
	OK(!peal_cpu_pin(chosen[0], &before) && !peal_cpu_unpin(before));
}

static void alone(void)
{
	GUARDED(struct peal_choice, choice);
	GUARDED(struct peal_fact, fact);
	struct peal_link *links[2];
	struct peal_options options;
	unsigned i;

	OK(*peal_runtime_version());
	for (i = 0; !peal_runtime_choice(i, &choice.it); i++)
		OK(choice.it.job && choice.it.name && choice.it.why);
	OK(i);
	LOOK_BEHIND(choice);
	for (i = 0; !peal_runtime_fact(i, &fact.it); i++)
		OK(fact.it.group && fact.it.name && fact.it.value && fact.it.note);
	OK(i);
	LOOK_BEHIND(fact);
	OK(peal_ticks() && peal_ticks_per_ns() > 0 && peal_runtime_spin_ns() <= 1000000000);
	peal_relax();
	places();
	for (i = 0; i < 3; i++) {
		peal_options_init(&options);
		options.wait = i;
		options.flags = PEAL_CALLS | PEAL_PREFAULT;
		options.name = "user";
		OK(!peal_pair(links, i ? &options : NULL));
		all_verbs(peal_link_tx(links[0]), peal_link_rx(links[1]));
		all_verbs(peal_link_tx(links[1]), peal_link_rx(links[0]));
		what_is_told(links[0]);
		peal_close(links[0]);
		OK(peal_recv(peal_link_rx(links[1]), NULL, 0, NULL, LONG) == -EPIPE);
		peal_close(links[1]);
	}
	options.spare[0] = 1;
	OK(peal_pair(links, &options) == -EOPNOTSUPP);
}

/* --- a server and its clients ----------------------------------------------------------------- */

static int connected(void *data, struct peal_link *link, void **client)
{
	OK(*(char *)data == 'd' && link);
	*client = malloc(1);
	return 0;
}

static struct peal_request *kept;

static void message(void *data, struct peal_request *request)
{
	struct peal_server *server = request->server;
	void *at;

	OK(*(char *)data == 'd' && request->client && request->link);
	if (request->length == 4 && !memcmp(request->data, "stop", 4)) {
		OK(!peal_reply(request, "gone", 4, 0));
		peal_server_stop(server);
	} else if (request->length == 4 && !memcmp(request->data, "fail", 4)) {
		OK(!peal_reply_error(request, -ENOTDIR, "as it was asked"));
	} else if (request->length == 4 && !memcmp(request->data, "keep", 4)) {
		kept = peal_request_keep(request);
		OK(kept && !kept->link);
	} else if (request->length == 4 && !memcmp(request->data, "free", 4)) {
		OK(kept && !peal_server_has(server, kept->token));
		OK(!peal_server_reply(server, kept->token, kept->data, kept->length, 0));
		peal_request_free(kept);
		kept = NULL;
		OK(!peal_server_reply(server, request->token, "more", 4, PEAL_REPLY_MORE));
		OK(!peal_server_reply_error(server, request->token, -EIO, "and no more"));
	} else if (request->length <= 4096) {
		OK(!peal_reply_reserve(request, request->length, &at));
		memcpy(at, request->data, request->length);
		OK(!peal_reply_commit(request, request->length, 0));
	} else {
		OK(!peal_server_reply(server, request->token, request->data, request->length, 0));
	}
}

static void cancelled(void *data, struct peal_token token, void *client)
{
	OK(*(char *)data == 'd' && token.client && client);
}

static int ended;

static void closed(void *data, struct peal_link *link, void *client, int reason)
{
	OK(*(char *)data == 'd' && link && client);
	OK(reason == PEAL_END_CLOSED || reason == PEAL_END_STOPPED);
	free(client);
	ended++;
}

static void serve(const char *address)
{
	GUARDED(struct peal_server_counters, counters);
	struct peal_server_options options;
	struct peal_options link;
	struct peal_server *server;
	int err;

	peal_options_init(&link);
	link.max_message = 1 << 20;
	link.sample = 1;
	peal_server_options_init(&options);
	options.link = &link;
	options.queue = 4 << 20;
	options.workers = 2;
	options.reply = 4096;
	options.handlers.connected = connected;
	options.handlers.message = message;
	options.handlers.cancelled = cancelled;
	options.handlers.closed = closed;
	options.data = "data";
	OK(!peal_server_open(&server, address, &options));
	OK(peal_server_fd(server) >= 0);
	puts("ready");
	fflush(stdout);
	do
		err = peal_server_step(server, LONG);
	while (err >= 0);
	OK(err == -ECANCELED);
	counters.it.size = sizeof(counters.it);
	OK(!peal_server_count(server, &counters.it));
	OK(counters.it.messages >= 9 && counters.it.accepted >= 2 && counters.it.workers == 2);
	LOOK_BEHIND(counters);
	peal_server_close(server);
	OK(ended >= 2);
}

static int changes;

static void changed(void *data, int err)
{
	OK(*(char *)data == 'd');
	changes += !err;
}

static void calls(const char *address)
{
	GUARDED(struct peal_answer, answer);
	struct peal_client_options options;
	struct peal_client *client;
	size_t length = 300000;
	void *around = make_long(length);
	uint64_t call, other;
	int replies = 0, errors = 0;

	peal_client_options_init(&options);
	options.changed = changed;
	options.data = "data";
	options.calls = 16;
	OK(!peal_client_open(&client, address, &options));
	OK(!peal_client_call(client, "one", 3, 0, &answer.it, LONG));
	OK(answer.it.verdict == PEAL_REPLY && answer.it.length == 3 && answer.it.last);
	OK(!memcmp(answer.it.data, "one", 3) && peal_client_connected(client) == 1);
	LOOK_BEHIND(answer);
	OK(!peal_client_call(client, around, length, PEAL_IDEMPOTENT, &answer.it, LONG));
	OK(answer.it.verdict == PEAL_REPLY && answer.it.length == length);
	OK(is_long(answer.it.data, length));
	OK(!peal_client_call(client, "fail", 4, PEAL_NOW, &answer.it, LONG));
	OK(answer.it.verdict == PEAL_ERROR && answer.it.err == -ENOTDIR);
	OK(strstr(peal_error(), "as it was asked"));
	OK(!peal_client_begin(client, "keep", 4, 0, LONG, &call, &call));
	OK(!peal_client_begin(client, "free", 4, 0, LONG, &other, &other));
	OK(peal_client_fd(client) >= 0);
	while (replies + errors < 3) {
		OK(!peal_client_next(client, &answer.it, LONG));
		if (answer.it.user == &call)
			OK(answer.it.call == call && answer.it.length == 4 && answer.it.last);
		else if (answer.it.verdict == PEAL_ERROR)
			OK(answer.it.user == &other && answer.it.err == -EIO && answer.it.last);
		else
			OK(answer.it.user == &other && !answer.it.last);
		replies += answer.it.verdict == PEAL_REPLY;
		errors += answer.it.verdict == PEAL_ERROR;
	}
	OK(replies == 2 && errors == 1);
	OK(!peal_client_begin(client, "keep", 4, 0, LONG, NULL, &call));
	OK(!peal_client_cancel(client, call));
	OK(!peal_client_next(client, &answer.it, LONG) && answer.it.verdict >= PEAL_NOT_SENT);
	OK(peal_client_next(client, &answer.it, 0) == -ENOENT && changes == 1);
	LOOK_BEHIND(answer);
	peal_client_close(client);
	free(around);
}

/* A link of its own, with which the program does by hand what a client does. */
static void by_hand(const char *address)
{
	GUARDED(struct peal_control, control);
	GUARDED(struct peal_message, about);
	struct peal_options options;
	struct peal_link *link;
	char text[1024];
	ssize_t length;

	peal_options_init(&options);
	options.flags = PEAL_CALLS;
	OK(!peal_connect(&link, address, &options, LONG));
	OK(peal_call(link, "call", 4, text, sizeof(text), &about.it, LONG) == 4);
	OK(!memcmp(text, "call", 4) && about.it.flags == PEAL_HEADER_LAST);
	OK(peal_call(link, "fail", 4, text, sizeof(text), &about.it, LONG) == -ENOTDIR);
	OK(!peal_send(peal_link_tx(link), "fail", 4, 77, LONG));
	length = peal_recv(peal_link_rx(link), text, sizeof(text), &about.it, LONG);
	OK(length > 8 && about.it.flags & PEAL_HEADER_CONTROL && about.it.tag == 77);
	OK(!peal_control_read(&about.it, &control.it) && control.it.code == -ENOTDIR);
	OK(control.it.kind == PEAL_CONTROL_ERROR);
	OK(!strcmp(control.it.sentence, "as it was asked"));
	LOOK_BEHIND(control);
	LOOK_BEHIND(about);
	OK(!peal_send_cancel(peal_link_tx(link), 77, LONG));
	what_is_told(link);
	peal_close(link);
}

static void watch(const char *address)
{
	GUARDED(struct peal_monitored, about);
	struct {
		struct peal_monitored_link links[2];
		unsigned char behind[512];
	} two;
	struct peal_monitor *monitor;

	memset(two.behind, 0xa5, sizeof(two.behind));
	about.it.size = sizeof(about.it);
	OK(!peal_monitor_open(&monitor, address, LONG));
	OK(peal_monitor_read(monitor, &about.it, two.links, 2) == (int)about.it.links);
	LOOK_BEHIND(about);
	LOOK_BEHIND(two);
	OK(about.it.who.pid > 0 && about.it.now_ns >= about.it.started_ns);
	OK(!peal_monitor_refresh(monitor, LONG));
	peal_monitor_close(monitor);
}

static void call(const char *address)
{
	struct peal_link *link;
	char text[8];

	calls(address);
	by_hand(address);
	OK(!peal_connect(&link, address, NULL, LONG));
	watch(address);
	OK(peal_call(link, "stop", 4, text, sizeof(text), NULL, LONG) == 4);
	peal_close(link);
}

/* --- a link between two programs -------------------------------------------------------------- */

/* Without a server: what comes goes back, and a set and a descriptor wait for it. */
static void listen_at(const char *address)
{
	struct peal_listener *listener;
	struct peal_options options;
	struct peal_link *link;
	struct peal_set *set;
	size_t size = 1 << 20;
	char *text = malloc(size), *who = text;
	void *data = NULL;
	ssize_t length;
	int by_set = 0, err = 0;

	OK(text);
	peal_options_init(&options);
	options.max_message = size;
	OK(!peal_listen(&listener, address, &options));
	OK(peal_listener_fd(listener) >= 0);
	puts("ready");
	fflush(stdout);
	OK(!peal_accept(listener, &link, LONG));
	OK(!strcmp(peal_link_peer(link)->name, "connects"));
	OK(!peal_set_create(&set) && !peal_set_add(set, link, who));
	while (!err) {
		if (by_set++ % 2) {
			OK(peal_set_wait(set, LONG) == 1);
		} else if (!peal_set_arm(set)) {
			struct pollfd one = { .fd = peal_set_fd(set), .events = POLLIN };

			OK(poll(&one, 1, 20000) == 1);
			continue;
		}
		if (peal_set_next(set, &data) != link)
			continue;
		OK(data == who);
		while ((length = peal_recv(peal_link_rx(link), text, size, NULL, 0)) >= 0)
			OK(!peal_send(peal_link_tx(link), text, (size_t)length, 1, LONG));
		err = length == -EAGAIN ? 0 : (int)length;
	}
	OK(err == -EPIPE);
	OK(!peal_set_remove(set, link));
	peal_set_free(set);
	peal_close(link);
	peal_listener_close(listener);
	free(text);
}

static void connect_to(const char *address)
{
	struct peal_options options;
	struct peal_link *link;
	struct peal_set *set;
	size_t sizes[] = { 0, 1, 8, 63, 64, 65, 4095, 4096, 65520, 65521, 900000 }, i, k;
	char *around = make_long(900000), *text = malloc(900000);

	OK(text);
	peal_options_init(&options);
	options.name = "connects";
	OK(!peal_connect(&link, address, &options, LONG));
	for (k = 0; k < 3; k++)
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			OK(!peal_send(peal_link_tx(link), around, sizes[i], 1, LONG));
			if (k == 1 && !peal_link_arm(link, PEAL_DATA)) {
				struct pollfd one = { .fd = peal_link_fd(link), .events = POLLIN };

				OK(poll(&one, 1, 20000) == 1);
			}
			OK(peal_recv(peal_link_rx(link), text, 900000, NULL, LONG) ==
			   (ssize_t)sizes[i]);
			OK(is_long(text, sizes[i]));
		}
	/* One way, until there is no room; then the other. */
	for (i = 0; !peal_send(peal_link_tx(link), around, 1000, 1, 0); i++)
		OK(i < 1000000);
	for (; i; i--)
		OK(peal_recv(peal_link_rx(link), text, 900000, NULL, LONG) == 1000);
	OK(!peal_set_create(&set) && !peal_set_add(set, link, NULL));
	OK(!peal_send(peal_link_tx(link), "poll", 4, 1, LONG));
	while (!peal_set_poll(set))
		peal_relax();
	OK(peal_set_next(set, NULL) == link && !peal_set_next(set, NULL));
	OK(peal_recv(peal_link_rx(link), text, 900000, NULL, LONG) == 4);
	OK(!peal_set_want_room(set, link));
	what_is_told(link);
	peal_set_free(set);
	peal_close(link);
	free(around);
	free(text);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *address = argc > 2 ? argv[2] : "";

	if (!strcmp(what, "alone"))
		alone();
	else if (!strcmp(what, "serve"))
		serve(address);
	else if (!strcmp(what, "call"))
		call(address);
	else if (!strcmp(what, "listen"))
		listen_at(address);
	else if (!strcmp(what, "connect"))
		connect_to(address);
	else
		return 2;
	return 0;
}
