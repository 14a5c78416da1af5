/*
 * SPDX-License-Identifier: MIT
 *
 * peal-top's figures: what comes of two readings, how it is written in few columns, what fits into
 * a line, and in which order clients stand. The server is made up.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <peal.h>

#include "tests/runner.h"
#include "tools/peal-top/column.h"
#include "tools/peal-top/format.h"
#include "tools/peal-top/output.h"
#include "tools/peal-top/sample.h"

#define SECOND UINT64_C(1000000000)
#define LINKS 300

/* What the server says. */
static struct {
	struct peal_monitored about;
	struct peal_monitored_link links[LINKS];
	unsigned count;
} said;

static struct sampler sampler;

int __wrap_peal_monitor_read(struct peal_monitor *monitor, struct peal_monitored *about,
			     struct peal_monitored_link *links, unsigned most);

int __wrap_peal_monitor_read(struct peal_monitor *monitor, struct peal_monitored *about,
			     struct peal_monitored_link *links, unsigned most)
{
	ck_assert_ptr_null(monitor);
	ck_assert_uint_eq(about->size, sizeof(*about));
	*about = said.about;
	about->links = said.count;
	memcpy(links, said.links, (said.count < most ? said.count : most) * sizeof(*links));
	return (int)said.count;
}

static void set_up(void)
{
	memset(&said, 0, sizeof(said));
	memset(&sampler, 0, sizeof(sampler));
	said.about.size = sizeof(said.about);
	said.about.started_ns = 1 * SECOND;
	said.about.now_ns = 10 * SECOND;
}

static void tear_down(void)
{
	sampler_reset(&sampler);
}

static struct peal_monitored_link *say_link(uint64_t id, uint64_t since_ns)
{
	struct peal_monitored_link *link = &said.links[said.count++];

	memset(link, 0, sizeof(*link));
	link->id = id;
	link->since_ns = since_ns;
	return link;
}

/* Counts so much in both directions: as many bytes again, times ten. */
static void say_counts(struct peal_monitored_link *link, uint64_t in, uint64_t out)
{
	link->rx.messages = in;
	link->rx.bytes = in * 10;
	link->tx.messages = out;
	link->tx.bytes = out * 10;
}

static const struct sample *look(uint64_t now_ns)
{
	said.about.now_ns = now_ns;
	ck_assert_int_eq(sampler_take(&sampler, NULL), 0);
	return &sampler.now;
}

#define expect_near(value, wanted) \
	ck_assert_msg(fabs((value) - (wanted)) < 1e-6, #value " is %f", value)

START_TEST(a_rate_is_what_came_by_the_time_that_it_took)
	{
		const struct sample *now;

		say_counts(say_link(7, 2 * SECOND), 100, 1000);
		now = look(10 * SECOND);
		ck_assert_uint_eq(now->count, 1);
		expect_near(now->seconds, 0);
		expect_near(now->in.messages, 100);
		ck_assert_uint_eq(now->clients[0].age_ns, 8 * SECOND);
		ck_assert_uint_eq(now->up_ns, 9 * SECOND);
		say_counts(&said.links[0], 150, 1010);
		said.links[0].tx.waits = 4;
		said.links[0].rx.rung = 30;
		now = look(12 * SECOND);
		expect_near(now->seconds, 2);
		expect_near(now->clients[0].in.messages, 25);
		expect_near(now->clients[0].in.bytes, 250);
		expect_near(now->clients[0].out.messages, 5);
		expect_near(now->clients[0].out.full, 2);
		expect_near(now->clients[0].in.rung, 15);
		expect_near(now->in_rate.messages, 25);
		expect_near(now->out_rate.bytes, 50);
		expect_near(now->out.messages, 1010);
		/* And then nothing. */
		now = look(13 * SECOND);
		expect_near(now->in_rate.messages, 0);
		expect_near(now->clients[0].out.bytes, 0);
	}
END_TEST

START_TEST(a_client_that_came_meanwhile_counts_from_the_beginning)
	{
		const struct sample *now;

		say_counts(say_link(1, 2 * SECOND), 10, 10);
		look(10 * SECOND);
		say_counts(say_link(2, 11 * SECOND), 40, 0);
		now = look(12 * SECOND);
		expect_near(now->clients[1].in.messages, 20);
		expect_near(now->in_rate.messages, 20);
	}
END_TEST

START_TEST(a_client_that_was_there_before_it_was_seen_is_no_peak)
	{
		const struct sample *now;

		look(10 * SECOND);
		say_counts(say_link(2, 2 * SECOND), 500, 0);
		now = look(12 * SECOND);
		expect_near(now->clients[0].in.messages, 50);
		expect_near(now->in_rate.messages, 50);
	}
END_TEST

START_TEST(another_id_in_the_same_place_is_another_client)
	{
		const struct sample *now;

		say_counts(say_link(1, 2 * SECOND), 1000, 0);
		look(10 * SECOND);
		said.count = 0;
		say_counts(say_link(9, 11 * SECOND), 30, 0);
		said.about.ended = 1;
		said.about.ended_rx.messages = 1002;
		now = look(12 * SECOND);
		ck_assert_uint_eq(now->count, 1);
		expect_near(now->clients[0].in.messages, 15);
		/* Two were the last of the one that left. */
		expect_near(now->in_rate.messages, 16);
		expect_near(now->in.messages, 1032);
	}
END_TEST

START_TEST(totals_keep_what_has_ended_and_never_fall)
	{
		const struct sample *now;

		say_counts(say_link(1, 2 * SECOND), 70, 7);
		say_counts(say_link(2, 2 * SECOND), 30, 3);
		look(10 * SECOND);
		/* It is in neither sum for once. */
		said.count = 1;
		now = look(11 * SECOND);
		expect_near(now->in.messages, 100);
		expect_near(now->in_rate.messages, 0);
		said.about.ended_rx.messages = 30;
		said.about.ended_tx.messages = 3;
		now = look(12 * SECOND);
		expect_near(now->in.messages, 100);
		expect_near(now->out.messages, 10);
	}
END_TEST

START_TEST(clients_are_matched_in_whatever_order_they_stand)
	{
		const struct sample *now;

		for (uint64_t i = 0; i < LINKS; i++)
			say_counts(say_link((i * 7919) % 10007 + 1, SECOND), i, 0);
		look(10 * SECOND);
		for (unsigned i = 0; i < LINKS / 2; i++) {
			struct peal_monitored_link other = said.links[i];

			said.links[i] = said.links[LINKS - 1 - i];
			said.links[LINKS - 1 - i] = other;
		}
		for (unsigned i = 0; i < LINKS; i++)
			said.links[i].rx.messages += said.links[i].id;
		now = look(11 * SECOND);
		ck_assert_uint_eq(now->count, LINKS);
		for (unsigned i = 0; i < LINKS; i++) {
			ck_assert(!i || now->clients[i - 1].link->id < now->clients[i].link->id);
			expect_near(now->clients[i].in.messages, (double)now->clients[i].link->id);
		}
	}
END_TEST

START_TEST(what_cannot_be_is_zero)
	{
		struct peal_monitored_link *link = say_link(1, 20 * SECOND);
		const struct sample *now;

		say_counts(link, 100, 100);
		link->tx.stalled_since = 11 * SECOND;
		link->rx.rung = 60;
		link->rx.batched = 50;
		now = look(10 * SECOND);
		ck_assert_uint_eq(now->clients[0].stalled_ns, 0);
		ck_assert_uint_eq(now->clients[0].age_ns, 0);
		ck_assert_uint_eq(counters_spared(&now->clients[0].link->rx), 0);
		ck_assert_uint_eq(counters_spared(&now->clients[0].link->tx), 100);
		say_counts(link, 50, UINT64_MAX);
		now = look(13 * SECOND);
		ck_assert_uint_eq(now->clients[0].stalled_ns, 2 * SECOND);
		expect_near(now->clients[0].in.messages, 0);
		/* The same instant again, and one before. */
		now = look(13 * SECOND);
		expect_near(now->clients[0].in.messages, 0);
		now = look(12 * SECOND);
		expect_near(now->in_rate.messages, 0);
	}
END_TEST

START_TEST(times_of_waits_have_quantiles)
	{
		uint64_t classes[PEAL_OFFCPU_CLASSES] = { 0 };

		expect_near(offcpu_quantile(classes, 0.5), 0);
		classes[0] = 50;
		classes[3] = 49;
		classes[PEAL_OFFCPU_CLASSES - 1] = 1;
		expect_near(offcpu_quantile(classes, 0.5), 256);
		expect_near(offcpu_quantile(classes, 0.99), 2048);
		ck_assert(isinf(offcpu_quantile(classes, 1)));
		ck_assert(isinf(offcpu_bound(PEAL_OFFCPU_CLASSES - 1)));
	}
END_TEST

static const struct {
	void (*format)(double value, char *text);
	double value;
	const char *text;
} figures[] = {
	{ format_count, 0, "0" },
	{ format_count, 0.25, "0.2" },
	{ format_count, 7, "7" },
	{ format_count, 9.96, "10" },
	{ format_count, 99999, "99999" },
	{ format_count, 100000, "100k" },
	{ format_count, 999999, "1000k" },
	{ format_count, 1234567, "1235k" },
	{ format_count, 12345678, "12.3M" },
	{ format_count, 1.8e19, "18.0E" },
	{ format_count, NAN, "-" },
	{ format_bytes, 9999, "9999" },
	{ format_bytes, 65536, "64.0K" },
	{ format_bytes, 1536.0 * 1024, "1536K" },
	{ format_bytes, 15.5 * 1024 * 1024, "15.5M" },
	{ format_bytes, 1.9e19, "16.5E" },
	{ format_percent, 0, "0" },
	{ format_percent, 0.01, "1" },
	{ format_percent, 99.9, "99" },
	{ format_percent, 100, "100" },
	{ format_percent, 1e6, "999" },
	{ format_duration, 0, "-" },
	{ format_duration, 512, "512ns" },
	{ format_duration, 1024, "1.0us" },
	{ format_duration, 33000, "33us" },
	{ format_duration, 999499, "999us" },
	{ format_duration, 999600, "1.0ms" },
	{ format_duration, 1.26e9, "1.3s" },
	{ format_duration, 99.96e9, "1m" },
	{ format_duration, 3600e9, "60m" },
	{ format_duration, 6001e9, "1h" },
	{ format_duration, 86400e9 * 30, "30d" },
	{ format_bound, 256, "256ns" },
	{ format_bound, INFINITY, ">67ms" },
};

START_TEST(a_figure_fits_in_five_columns)
	{
		char text[FORMAT_SIZE];

		figures[_i].format(figures[_i].value, text);
		ck_assert_str_eq(text, figures[_i].text);
		ck_assert_uint_le(strlen(text), 5);
	}
END_TEST

START_TEST(all_figures_fit_in_five_columns)
	{
		char text[FORMAT_SIZE];

		for (double value = 1e-3; value < 2e19; value *= 1.01) {
			void (*const formats[])(double, char *) = { format_count, format_bytes,
								    format_percent,
								    format_duration };

			for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
				formats[i](value, text);
				ck_assert_msg(strlen(text) <= 5 && *text, "%g is \"%s\"", value,
					      text);
			}
		}
	}
END_TEST

START_TEST(strangers_names_are_harmless)
	{
		char text[16];

		format_name("a b\033[2J\n\x7f\xff~", text, sizeof(text));
		ck_assert_str_eq(text, "a b?[2J???~");
		format_name("0123456789abcdefghij", text, sizeof(text));
		ck_assert_str_eq(text, "0123456789abcde");
	}
END_TEST

static const struct {
	const char *address, *text;
} addresses[] = {
	{ "@echo", "@echo" },
	{ "/run/peal/echo-1.2", "/run/peal/echo-1.2" },
	{ "/tmp/with space", "$'/tmp/with space'" },
	{ "/tmp/it's\\\n", "$'/tmp/it\\'s\\\\\\n'" },
	{ "@\033[2J\xc3", "$'@\\033[2J\\303'" },
};

START_TEST(an_address_can_be_pasted)
	{
		char text[64];

		format_address(addresses[_i].address, text, sizeof(text));
		ck_assert_str_eq(text, addresses[_i].text);
	}
END_TEST

START_TEST(what_does_not_fit_is_cut)
	{
		char name[400], text[20];

		memset(name, '\n', sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		for (size_t size = 4; size <= sizeof(text); size++) {
			format_address(name, text, size);
			ck_assert_uint_lt(strlen(text), size);
		}
	}
END_TEST

START_TEST(clocks_have_days_when_they_need_them)
	{
		char text[FORMAT_SIZE];

		format_clock(3661 * SECOND, text);
		ck_assert_str_eq(text, "01:01:01");
		format_clock((3 * 86400 + 5) * SECOND, text);
		ck_assert_str_eq(text, "3d 00:00:05");
	}
END_TEST

/* How many columns a line of the layout takes. */
static int line_width(const struct layout *layout)
{
	int width = (int)layout->count - 1;

	for (unsigned i = 0; i < layout->count; i++)
		width += layout->widths[i];
	return width;
}

static bool layout_has(const struct layout *layout, const char *key)
{
	for (unsigned i = 0; i < layout->count; i++)
		if (layout->columns[i] == column_find(key))
			return true;
	return false;
}

START_TEST(a_line_is_never_wider_than_the_terminal)
	{
		struct layout layout;

		strcpy(say_link(1, SECOND)->peer.name,
		       "a-name-that-is-as-long-as-one-may-be-that-is-63-bytes");
		look(10 * SECOND);
		for (unsigned view = 0; view < VIEWS; view++) {
			for (int width = 40; width < 400; width++) {
				layout_view(&layout, (enum view)view, width, &sampler.now);
				ck_assert_int_le(line_width(&layout), width);
				ck_assert_uint_gt(layout.count, 2);
			}
		}
	}
END_TEST

START_TEST(eighty_columns_have_what_matters_and_120_more)
	{
		static const char *const narrow[] = { "pid",      "user",      "name",
						      "wait",     "in",        "in-bytes",
						      "out",      "out-bytes", "in-fill",
						      "out-fill", "full-rate", "stall" };
		static const char *const wide[] = { "in-most",   "out-most",    "sleeps-rate",
						    "rung-rate", "spared-rate", "age" };
		struct layout layout;

		say_link(1, SECOND);
		look(10 * SECOND);
		layout_view(&layout, VIEW_RATES, 80, &sampler.now);
		for (unsigned i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++)
			ck_assert_msg(layout_has(&layout, narrow[i]), "no %s", narrow[i]);
		layout_view(&layout, VIEW_RATES, 120, &sampler.now);
		ck_assert_int_eq(layout.widths[2], 10);
		for (unsigned i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
			ck_assert_msg(layout_has(&layout, wide[i]), "no %s", wide[i]);
		/* Rather than the last of them, most of a long name. */
		strcpy(sampler.now.links[0].peer.name, "a-name-of-19-bytes-");
		layout_view(&layout, VIEW_RATES, 120, &sampler.now);
		ck_assert(!layout_has(&layout, "age"));
		ck_assert_int_ge(layout.widths[2], 16);
	}
END_TEST

START_TEST(columns_have_titles_that_fit_and_keys_of_their_own)
	{
		const struct column *column;

		for (unsigned i = 0; (column = column_at(i)); i++) {
			ck_assert_int_le((int)strlen(column->title), column->width);
			ck_assert_msg(column_find(column->key) == column, "%s is there twice",
				      column->key);
			ck_assert(!column->value == !!column->text);
			ck_assert(!column->text == (column->form != COLUMN_TEXT));
		}
		ck_assert_ptr_null(column_find(""));
		ck_assert_ptr_null(column_find("IN"));
	}
END_TEST

/* The order of the ids, such as "312". */
static const char *order_by(const char *key, bool reverse)
{
	static char ids[16];
	const struct client *order[8];

	column_sort(column_find(key), reverse, &sampler.now, order);
	for (unsigned i = 0; i < sampler.now.count; i++)
		ids[i] = (char)('0' + order[i]->link->id);
	ids[sampler.now.count] = '\0';
	return ids;
}

START_TEST(numbers_sort_from_the_largest_and_names_from_a)
	{
		static const char *const names[] = { "carol", "alice", "bob" };

		for (unsigned i = 0; i < 3; i++) {
			struct peal_monitored_link *link = say_link(i + 1, (9 - i) * SECOND);

			strcpy(link->peer.name, names[i]);
			link->tx.stalled_since = i == 1 ? 5 * SECOND : 0;
		}
		look(10 * SECOND);
		said.links[2].rx.messages = 7;
		said.links[0].rx.messages = 3;
		look(11 * SECOND);
		ck_assert_str_eq(order_by("in", false), "312");
		ck_assert_str_eq(order_by("in", true), "213");
		ck_assert_str_eq(order_by("name", false), "231");
		ck_assert_str_eq(order_by("name", true), "132");
		ck_assert_str_eq(order_by("stall", false), "213");
		ck_assert_str_eq(order_by("age", false), "321");
		/* All the same: by the id, also when reversed. */
		ck_assert_str_eq(order_by("out", true), "123");
	}
END_TEST

/* A capacity of nothing is a liar's, and makes a part of it no number. */
START_TEST(what_is_no_number_stands_last)
	{
		static const uint64_t depths[] = { 10, 0, 50, 0, 30 };

		for (unsigned i = 0; i < 5; i++) {
			struct peal_monitored_link *link = say_link(i + 1, SECOND);

			link->rx.depth = depths[i];
			link->rx_capacity = i % 2 ? 0 : 100;
		}
		look(10 * SECOND);
		ck_assert_str_eq(order_by("in-fill", false), "35124");
		ck_assert_str_eq(order_by("in-fill", true), "24153");
	}
END_TEST

START_TEST(any_number_of_users_has_an_order)
	{
		const struct client *order[LINKS];
		const char *names[LINKS];

		for (unsigned i = 0; i < LINKS; i++)
			say_link(i + 1, SECOND)->peer.uid = 3000000000u + i * 7919 % LINKS;
		look(10 * SECOND);
		column_sort(column_find("user"), false, &sampler.now, order);
		for (unsigned i = 0; i < LINKS; i++)
			names[i] = format_user(order[i]->link->peer.uid);
		for (unsigned i = 0; i < LINKS; i++) {
			char name[16];

			snprintf(name, sizeof(name), "%u", order[i]->link->peer.uid);
			ck_assert_str_eq(names[i], name);
			ck_assert(!i || strcmp(names[i - 1], names[i]) < 0);
		}
	}
END_TEST

START_TEST(cells_are_padded_and_cut)
	{
		struct layout layout;
		char text[COLUMN_SIZE], cell[COLUMN_SIZE];
		struct peal_monitored_link *link = say_link(1, SECOND);

		link->peer.pid = 4194304;
		strcpy(link->peer.name, "\033]0;gotcha\a and more");
		link->rx.depth = 32768;
		link->rx_capacity = 65536;
		look(10 * SECOND);
		layout_view(&layout, VIEW_RATES, 80, &sampler.now);
		column_text(layout.columns[0], sampler.now.clients, text);
		ck_assert_str_eq(text, "4194304");
		column_text(column_find("name"), sampler.now.clients, text);
		ck_assert_str_eq(text, "?]0;gotcha? and more");
		ck_assert_int_eq(layout_cell(&layout, 2, text, cell, sizeof(cell)),
				 layout.widths[2]);
		column_text(column_find("in-fill"), sampler.now.clients, text);
		ck_assert_str_eq(text, "50");
		/* Nothing is known of it. */
		column_text(column_find("out-fill"), sampler.now.clients, text);
		ck_assert_str_eq(text, "-");
		ck_assert_int_eq(column_alarm(column_find("in-fill"), sampler.now.clients), 1);
		ck_assert_int_eq(column_alarm(column_find("stall"), sampler.now.clients), 0);
		sampler.now.clients[0].stalled_ns = 2 * SECOND;
		ck_assert_int_eq(column_alarm(column_find("stall"), sampler.now.clients), 2);
	}
END_TEST

START_TEST(of_bars_in_few_lines_the_longest_times_stay)
	{
		static char text[HISTOGRAM_SIZE];
		struct peal_offcpu in = { .spun = { [2] = 1, [3] = 1 } }, out = { .slept_ns = 0 };
		const char *line = text;

		for (unsigned i = 0; i < 15; i++)
			in.slept[i] = 100 + i;
		in.slept[15] = 7;
		ck_assert_uint_eq(text_histogram(&in, &out, 80, PEAL_OFFCPU_CLASSES, text,
						 sizeof(text)),
				  2 + 16);
		ck_assert_ptr_nonnull(strstr(text, "\n 256ns "));
		ck_assert_uint_eq(text_histogram(&in, &out, 80, 3, text, sizeof(text)), 2 + 3);
		/* Below 2.1 ms: the sum of 100 to 113, and both that spun. */
		for (int i = 0; i < 2; i++)
			line = strchr(line, '\n') + 1;
		ck_assert_msg(!strncmp(line, " 2.1ms     2 ", 13), "%s", line);
		ck_assert_ptr_nonnull(strstr(line, " 1491 "));
		line = strchr(line, '\n') + 1;
		ck_assert_ptr_nonnull(strstr(line, " 114 "));
		line = strchr(line, '\n') + 1;
		ck_assert_msg(!strncmp(line, " 8.4ms ", 7), "%s", line);
		ck_assert_ptr_nonnull(strstr(line, " 7 "));
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("peal-top");
	TCase *samples = tcase_create("samples"), *texts = tcase_create("texts");

	tcase_add_checked_fixture(samples, set_up, tear_down);
	tcase_add_test(samples, a_rate_is_what_came_by_the_time_that_it_took);
	tcase_add_test(samples, a_client_that_came_meanwhile_counts_from_the_beginning);
	tcase_add_test(samples, a_client_that_was_there_before_it_was_seen_is_no_peak);
	tcase_add_test(samples, another_id_in_the_same_place_is_another_client);
	tcase_add_test(samples, totals_keep_what_has_ended_and_never_fall);
	tcase_add_test(samples, clients_are_matched_in_whatever_order_they_stand);
	tcase_add_test(samples, what_cannot_be_is_zero);
	tcase_add_test(samples, times_of_waits_have_quantiles);
	tcase_add_test(samples, a_line_is_never_wider_than_the_terminal);
	tcase_add_test(samples, eighty_columns_have_what_matters_and_120_more);
	tcase_add_test(samples, numbers_sort_from_the_largest_and_names_from_a);
	tcase_add_test(samples, what_is_no_number_stands_last);
	tcase_add_test(samples, any_number_of_users_has_an_order);
	tcase_add_test(samples, cells_are_padded_and_cut);
	suite_add_tcase(s, samples);

	tcase_add_loop_test(texts, a_figure_fits_in_five_columns, 0,
			    (int)(sizeof(figures) / sizeof(figures[0])));
	tcase_add_test(texts, all_figures_fit_in_five_columns);
	tcase_add_test(texts, strangers_names_are_harmless);
	tcase_add_loop_test(texts, an_address_can_be_pasted, 0,
			    (int)(sizeof(addresses) / sizeof(addresses[0])));
	tcase_add_test(texts, what_does_not_fit_is_cut);
	tcase_add_test(texts, of_bars_in_few_lines_the_longest_times_stay);
	tcase_add_test(texts, clocks_have_days_when_they_need_them);
	tcase_add_test(texts, columns_have_titles_that_fit_and_keys_of_their_own);
	suite_add_tcase(s, texts);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
