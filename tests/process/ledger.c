/*
 * SPDX-License-Identifier: MIT
 *
 * The ledger, as ledger.h says. Each remembered call is one word, which its client writes when the
 * call begins and ends, and servers when they see it.
 */
#include "config.h"

#include "tests/process/ledger.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/process/traffic.h"

/* A word: the call's number in the high half; how often it was seen; 1 + its verdict; whether it
 * may be seen more than once; whether there is a call at all. */
#define SEEN UINT64_C(1)
#define SEEN_MASK UINT64_C(0xffff)
#define VERDICT_SHIFT 16
#define VERDICT_MASK UINT64_C(0xf0000)
#define TWICE UINT64_C(0x100000)
#define THERE UINT64_C(0x200000)

static const char *const verdicts[LEDGER_VERDICTS] = { "was answered",  "was answered (an error)",
						       "was not sent",  "is unknown",
						       "has timed out", "was cancelled" };

void call_fill(struct call *call, uint32_t client, uint32_t id)
{
	uint64_t word = (uint64_t)client << 32 | id;

	call->client = client;
	call->id = id;
	for (unsigned i = 0; i < 7; i++)
		call->check[i] = word = traffic_mix(word);
}

bool call_is_whole(const struct call *call)
{
	struct call right;
	bool same = true;

	call_fill(&right, call->client, call->id);
	for (unsigned i = 0; i < 7; i++)
		same &= right.check[i] == call->check[i];
	return same && call->client < LEDGER_CLIENTS;
}

struct ledger *ledger_open(const char *path)
{
	struct ledger *ledger = MAP_FAILED;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		return NULL;
	if (!ftruncate(fd, sizeof(*ledger)))
		ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return ledger == MAP_FAILED ? NULL : ledger;
}

void ledger_close(struct ledger *ledger)
{
	munmap(ledger, sizeof(*ledger));
}

void ledger_object(struct ledger *ledger, const char *format, ...)
{
	va_list arguments;

	/* Pairs with the same of others: one of them is the first. */
	if (__atomic_fetch_add(&ledger->wrong, 1, __ATOMIC_RELAXED))
		return;
	va_start(arguments, format);
	vsnprintf(ledger->what, sizeof(ledger->what), format, arguments);
	va_end(arguments);
}

static uint64_t *word_of(struct ledger *ledger, uint32_t client, uint32_t id)
{
	return &ledger->calls[client][id % LEDGER_CALLS];
}

/* What must hold of a call at any time after it has ended. */
static void check(struct ledger *ledger, uint32_t client, uint64_t word)
{
	uint64_t seen = word & SEEN_MASK, verdict = (word & VERDICT_MASK) >> VERDICT_SHIFT;
	unsigned id = (unsigned)(word >> 32);

	if (!(word & THERE))
		return;
	if (seen > 1 && !(word & TWICE))
		ledger_object(ledger, "call %u of client %u was seen %u times", id, client,
			      (unsigned)seen);
	if (verdict && verdict - 1 <= 1 && !seen)
		ledger_object(ledger, "call %u of client %u %s, and no server has seen it", id,
			      client, verdicts[verdict - 1]);
	if (verdict == 1 + PEAL_NOT_SENT && seen)
		ledger_object(ledger, "call %u of client %u was not sent, and a server has seen it",
			      id, client);
}

static void note(uint64_t *word, uint64_t value)
{
	/* Pairs with read: for the value only, but what a client notes is there before it goes
	 * on. */
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t read_word(const uint64_t *word)
{
	/* Pairs with note, and with the additions of ledger_see and ledger_end. */
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

uint32_t ledger_begin(struct ledger *ledger, uint32_t client, bool twice)
{
	struct account *account = &ledger->accounts[client];
	uint32_t id = (uint32_t)account->begun;
	uint64_t *word = word_of(ledger, client, id);

	check(ledger, client, read_word(word));
	note(word, (uint64_t)id << 32 | THERE | (twice ? TWICE : 0));
	note(&account->begun, account->begun + 1);
	return id;
}

void ledger_end(struct ledger *ledger, uint32_t client, uint32_t id, uint32_t verdict)
{
	struct account *account = &ledger->accounts[client];
	uint64_t *word = word_of(ledger, client, id);
	/* Pairs with the addition in ledger_see: whichever is first is seen by the other. */
	uint64_t before = __atomic_fetch_or(word, (uint64_t)(verdict + 1) << VERDICT_SHIFT,
					    __ATOMIC_ACQ_REL);

	if (before >> 32 != id || before & VERDICT_MASK)
		ledger_object(ledger, "call %u of client %u has ended more than once", id, client);
	check(ledger, client, read_word(word));
	note(&account->verdicts[verdict], account->verdicts[verdict] + 1);
	note(&account->ended, account->ended + 1);
}

void ledger_see(struct ledger *ledger, uint32_t client, uint32_t id)
{
	/* Pairs with the operation in ledger_end. */
	uint64_t now = __atomic_add_fetch(word_of(ledger, client, id), SEEN, __ATOMIC_ACQ_REL);

	if (now >> 32 != id)
		ledger_object(ledger, "a server has seen call %u of client %u %u calls later", id,
			      client, (unsigned)((now >> 32) - id));
	else if ((now & VERDICT_MASK) >> VERDICT_SHIFT == 1 + PEAL_REPLY && !(now & TWICE))
		ledger_object(ledger, "a server has seen call %u of client %u after its answer", id,
			      client);
	check(ledger, client, now);
}

void ledger_audit(struct ledger *ledger, uint32_t client, bool whole)
{
	const struct account *account = &ledger->accounts[client];

	for (uint32_t i = 0; i < LEDGER_CALLS; i++) {
		uint64_t word = read_word(&ledger->calls[client][i]);

		check(ledger, client, word);
		if (whole && (word & THERE) && !(word & VERDICT_MASK))
			ledger_object(ledger, "call %u of client %u has never ended",
				      (unsigned)(word >> 32), client);
	}
	if (whole && read_word(&account->begun) != read_word(&account->ended))
		ledger_object(ledger, "client %u has begun %u calls, and %u have ended", client,
			      (unsigned)account->begun, (unsigned)account->ended);
}

uint64_t ledger_in_flight(const struct ledger *ledger, uint32_t first, uint32_t count)
{
	uint64_t begun = 0;

	for (uint32_t i = first; i < first + count; i++)
		begun += read_word(&ledger->accounts[i].begun);
	return begun - ledger_ended(ledger, first, count);
}

uint64_t ledger_ended(const struct ledger *ledger, uint32_t first, uint32_t count)
{
	uint64_t ended = 0;

	for (uint32_t i = first; i < first + count; i++)
		ended += read_word(&ledger->accounts[i].ended);
	return ended;
}

uint64_t ledger_verdicts(const struct ledger *ledger, uint32_t first, uint32_t count,
			 uint32_t verdict)
{
	uint64_t sum = 0;

	for (uint32_t i = first; i < first + count; i++)
		sum += read_word(&ledger->accounts[i].verdicts[verdict]);
	return sum;
}

bool ledger_stopped(const struct ledger *ledger)
{
	return read_word(&ledger->stop);
}

void ledger_stop(struct ledger *ledger, bool stop)
{
	note(&ledger->stop, stop);
}
