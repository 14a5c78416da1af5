/*
 * SPDX-License-Identifier: MIT
 *
 * The beginning and the end of a side, and how it is printed when it is stuck.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/soak/chance.h"
#include "tests/soak/side.h"

/* Links that the watchdog may want to be printed. */
static pthread_mutex_t show_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct side *shown[LANES][2];

static void show(struct side *side, bool yes)
{
	pthread_mutex_lock(&show_lock);
	shown[side->lane][side->which] = yes ? side : NULL;
	pthread_mutex_unlock(&show_lock);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool has_huge_pages(const struct peal_link *link)
{
	struct peal_memory memory = { .size = sizeof(memory) };

	/* Short ones have none, and need not be asked. */
	return link->tx.mask + 1 >= (uint64_t)2 << 20 && !peal_link_memory(link, &memory) &&
	       (memory.tx.has & PEAL_MEMORY_HUGETLB);
}

void side_begin(struct side *side, struct peal_link *link, uint64_t *random, bool brief)
{
	struct peal_tx *tx = peal_link_tx(link);
	struct note *note = side->note;
	uint64_t longest = least(link->cut.longest, least(LONGEST, MOST_LAPS * (tx->mask + 1)));

	side->link = link;
	if (has_huge_pages(link))
		tally(HUGE_LINKS);
	side->spins = link->data.spin_ns == UINT64_MAX;
	side->lazy = draw(random, 2);
	side->says = (struct hello){ .magic = MAGIC,
				     .lane = (uint64_t)side->lane,
				     .seed = mix(*random) | 1,
				     .record = least(tx->largest, LONGEST),
				     .longest = longest };
	if (side->says.longest < side->says.record)
		side->says.longest = side->says.record;
	side->out_random = mix(*random + 1);
	side->in_random = mix(*random + 2);
	side->out_number = side->in_number = 0;
	side->out_limit = brief || draw(random, 3) == 0 ?
				  1 + draw(random, 4) :
				  1 + draw(random, draw(random, 2) ? 500 : 100000);
	side->in_quit = UINT64_MAX;
	if (draw(random, 6) == 0) { /* closes in the midst of it */
		side->in_quit = 1 + draw(random, 300);
		tally(CUT_SHORT);
	}
	side->out_end = platform_now() + draw(random, 1200) * MS;
	side->out_next = 0;
	side->out_done = side->out_settles = side->out_over = false;
	side->in_done = side->in_last = side->quits = false;
	memset(&side->part, 0, sizeof(side->part));
	memset(&side->told, 0, sizeof(side->told));
	/* First: who still asks how far the session before came must not take ours for it. */
	put(&note->speaks, 0);
	put(&note->sent, 0);
	put(&note->received, 0);
	put(&note->hears, 0);
	put(&note->over, 0);
	put(&note->speaks, side->says.seed);
	note_step(side->note);
	put(&note->open, 1);
	show(side, true);
	*random = mix(*random + 3);
}

void side_end(struct side *side)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	if (!peal_link_stats(side->link, &stats))
		tally_link(stats.tx.sleeps + stats.rx.sleeps);
	if (side->which == SERVER)
		tally(LINKS);
	put(&side->note->over, 1);
	show(side, false);
	peal_close(side->link);
	side->link = NULL;
	put(&side->note->open, 0);
	put(&side->note->sending, IDLE);
	put(&side->note->receiving, IDLE);
	note_step(side->note);
}

bool side_was_killed(const struct side *side)
{
	return since(&board->kills[!side->which], side->kills);
}

/* Whether an error says that the other side has gone as it may. */
bool is_end(const struct side *side, int err, const char *verb)
{
	if (err == -EPIPE)
		return true;
	if (err == -ECONNRESET && side_was_killed(side))
		return true;
	if (err == -EAGAIN || err == -ETIMEDOUT)
		return false;
	wrong("lane %d: %s: %d, %s", side->lane, verb, err, peal_error());
}

bool has_settled(const struct side *side)
{
	if (get(&side->other->hears) == side->says.seed)
		return get(&side->other->received) >= side->out_number || get(&side->other->over);
	return side_was_killed(side);
}

bool sends_on(const struct side *side)
{
	return !side->out_done && !__atomic_load_n(&side->quits, __ATOMIC_ACQUIRE);
}

struct side *side_make(int lane, int which)
{
	struct side *side = calloc(1, sizeof(*side));

	if (!side)
		wrong("no memory");
	side->lane = lane;
	side->which = which;
	side->note = &board->notes[lane][which];
	side->other = &board->notes[lane][!which];
	return side;
}

uint64_t seed_of(int lane, int which)
{
	return mix(first_seed + (uint64_t)(lane * 2 + which)) ^ mix(kills());
}

static void print_page(const char *whose, const struct peal_page *page)
{
#define WORD(field)                                   \
	fprintf(stderr, "    %-18s 0x%llx\n", #field, \
		(unsigned long long)__atomic_load_n(&page->field, __ATOMIC_RELAXED))
	fprintf(stderr, "  %s page:\n", whose);
	WORD(magic);
	WORD(layout);
	WORD(head);
	WORD(rx_asleep);
	WORD(rx_bulk);
	WORD(room_wake);
	WORD(room_acknowledged);
	WORD(room_rung_ns);
	WORD(tx_asleep);
	WORD(tx_wants);
	WORD(tx_bulk[0]);
	WORD(tx_bulk[1]);
	WORD(data_wake);
	WORD(data_acknowledged);
	WORD(data_rung_ns);
	WORD(closed);
#undef WORD
}

static void print_bell(const char *name, const struct bell *bell)
{
	fprintf(stderr,
		"  %s bell: word 0x%x, armed %d, asymmetric %d, always %d, "
		"unacknowledged %d, sleeps %llu, slices %llu, rung %llu\n",
		name, bell->word, bell->armed, bell->asymmetric, bell->always, bell->unacknowledged,
		(unsigned long long)bell->counters->sleeps,
		(unsigned long long)bell->counters->slices,
		(unsigned long long)bell->counters->rung);
}

/* The thread that uses the link is stuck, or else what is printed is from several instants. */
void side_print(int lane, int which)
{
	const struct side *side;
	const struct peal_link *link;

	pthread_mutex_lock(&show_lock);
	side = shown[lane][which];
	if (side) {
		link = side->link;
		fprintf(stderr, "lane %d, %s, process %d%s%s\n", lane,
			which == SERVER ? "server's side" : "client's side", (int)getpid(),
			link->in_set ? ", in a set" : "", link->pair ? ", a pair" : "");
		fprintf(stderr,
			"  tx: pos 0x%llx, limit 0x%llx, capacity 0x%llx, reserved %llu, pending "
			"0x%llx at 0x%llx, last rung 0x%x, room wanted 0x%llx, part %u\n",
			(unsigned long long)link->tx.pos, (unsigned long long)link->tx.limit,
			(unsigned long long)link->tx.mask + 1,
			(unsigned long long)link->tx.reserved,
			(unsigned long long)link->tx.pending_header,
			(unsigned long long)link->tx.pending_at, link->tx.last_rung,
			(unsigned long long)link->room_want, link->tx.part);
		fprintf(stderr,
			"  rx: pos 0x%llx, held %llu, last rung 0x%x, next header 0x%llx, joined "
			"%llu of %llu\n",
			(unsigned long long)link->rx.pos, (unsigned long long)link->rx.held,
			link->rx.last_rung,
			(unsigned long long)__atomic_load_n(
				(const uint64_t *)(const void *)peal_next(&link->rx, link->rx.pos),
				__ATOMIC_RELAXED),
			(unsigned long long)link->join.have, (unsigned long long)link->join.total);
		fprintf(stderr,
			"  verdicts %d %d, broken %d, hung up %d, own eventfd %d, peer's %d, poller "
			"%d, socket %d\n",
			link->tx_verdict, link->rx_verdict, link->broken, link->hung_up,
			link->own_eventfd, link->peer_eventfd, link->poller, link->fd);
		print_bell("data", &link->data);
		print_bell("room", &link->room);
		print_page("own", link->page);
		print_page("peer's", link->peer_page);
	}
	pthread_mutex_unlock(&show_lock);
}
