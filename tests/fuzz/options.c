/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: options of links and of clients, and addresses in all their forms, with what the
 * environment says of folders and of inherited sockets.
 */
#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include <peal/client.h>

#include "lib/address.h"
#include "lib/options.h"
#include "lib/segment.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/steady.h"

/* The longest struct that a newer header could have. */
#define LONGEST 4096u

/* Options as a program of another version may pass them: as long as they say, up to a limit. */
static struct peal_options *take_options(struct bytes *bytes, char *name)
{
	uint32_t length = sizeof(struct peal_options);
	struct peal_options *options;
	uint8_t *memory;

	if (!bytes_below(bytes, 8))
		length += bytes_u16(bytes) % (LONGEST + 8 - length);
	memory = calloc(1, length);
	must(memory, "memory");
	options = (struct peal_options *)(void *)memory;
	peal_options_init(options);
	options->size = length;
	for (unsigned lies = bytes_below(bytes, 6); lies--;) {
		size_t width = (size_t)1 << bytes_below(bytes, 4);
		size_t at = bytes_u16(bytes) % (length - width + 1);

		bytes_block(bytes, memory + at, width);
	}
	/* Memory behind what it says it has is the caller's word. */
	if (options->size > length && options->size <= LONGEST)
		options->size = length;
	options->name = bytes_below(bytes, 2) ? name : NULL;
	options->admit = NULL;
	return options;
}

static bool is_power(uint64_t value)
{
	return value && !(value & (value - 1));
}

static void check_options(const struct peal_options *options)
{
	must(is_power(options->ring) && options->ring <= CAPACITY_MAX, "a ring");
	must(options->max_peer_ring && options->handshake_ns && options->backlog && options->mode,
	     "defaults");
	must(options->wait <= PEAL_WAIT_SLEEP && options->allow <= PEAL_ALLOW_ANYONE &&
		     options->barrier <= PEAL_BARRIER_ASYMMETRIC &&
		     options->bell <= PEAL_BELL_SOCKET && options->huge <= PEAL_HUGE_REQUIRE,
	     "choices");
	must(options->max_message <= MESSAGE_MAX && is_power(options->huge_size), "limits");
	must(options->name, "a name");
	must(options_largest(options, options->ring) <= options->ring - RECORD_OVERHEAD,
	     "a record fits its ring");
	must(options_client_message(options) >= 1, "a client's messages");
}

static void check_shown(const char *shown, size_t size, bool path)
{
	must(memchr(shown, '\0', size) && *shown, "what is shown ends");
	for (const char *c = shown; *c; c++)
		must_be((unsigned char)*c >= ' ' && *c != 0x7f && (path || !(*c & 0x80)),
			"what a terminal obeys is not shown", *c);
}

/* No number of a socket that this process has but for itself. */
static void set_environment(struct bytes *bytes)
{
	char value[160];

	setenv("XDG_RUNTIME_DIR", bytes_text(bytes, value, sizeof(value)), 1);
	setenv("LISTEN_FDS", bytes_text(bytes, value, 32), 1);
	setenv("LISTEN_FDNAMES", bytes_text(bytes, value, sizeof(value)), 1);
	snprintf(value, sizeof(value), "%lld", (long long)getpid() + !bytes_below(bytes, 8));
	setenv("LISTEN_PID", value, 1);
}

static void use_address(struct bytes *bytes)
{
	struct address address, again;
	char text[400];
	int err;

	set_environment(bytes);
	err = address_parse(&address, bytes_text(bytes, text, sizeof(text)));
	must_be(err <= 0, "an address or an error", err);
	if (err) {
		must(peal_error()[0], "an error has its sentence");
		return;
	}
	check_shown(address.shown, sizeof(address.shown), address.form == ADDRESS_PATH);
	must(strlen(address.where) <= ADDRESS_MAX + 1, "a socket has room for it");
	must((address.form == ADDRESS_DESCRIPTOR) == (address.fd >= 0), "a descriptor");
	must(!address_parse(&again, text) && !memcmp(&again, &address, sizeof(address)),
	     "it is the same again");
	if (address.form == ADDRESS_NAME) {
		must(strlen(address.name) <= ADDRESS_NAME_MAX, "a name's length");
		for (int system = 0; system < 2; system++)
			if (!address_place(&address, system, false))
				must(strlen(address.where) <= ADDRESS_MAX, "a place");
	}
	if (address.form == ADDRESS_SYSTEMD) {
		err = address_inherit(&address);
		if (err >= 0)
			close(err);
	}
	if (address.form == ADDRESS_DESCRIPTOR)
		address_adopt(&address, bytes_below(bytes, 2));
}

static void use_client(struct bytes *bytes, const struct peal_options *link)
{
	struct peal_client_options options;
	struct peal_client *client;
	int err;

	peal_client_options_init(&options);
	for (unsigned lies = bytes_below(bytes, 4); lies--;) {
		size_t at = bytes_u16(bytes) % (sizeof(options) - 8);

		bytes_block(bytes, (uint8_t *)&options + at, 1u << bytes_below(bytes, 4));
	}
	/* Memory behind what it says it has is the caller's word. */
	if (options.size > sizeof(options))
		options.size = sizeof(options);
	options.link = link;
	options.changed = NULL;
	options.calls %= 4096; /* or it takes memory for them */
	err = peal_client_open(&client, "@peal-fuzz-nobody", &options);
	must(!err == !!client, "a client or an error");
	peal_client_close(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	struct peal_options *given, taken;
	char name[80], copy[64];

	steady_begin();
	if (bytes_below(&bytes, 2)) {
		use_address(&bytes);
	} else {
		bytes_text(&bytes, name, sizeof(name));
		options_copy_name(copy, name);
		must(memchr(copy, '\0', sizeof(copy)), "a name ends");
		given = take_options(&bytes, name);
		if (!options_take(&taken, given))
			check_options(&taken);
		else
			must(peal_error()[0], "an error has its sentence");
		if (given->size == sizeof(*given))
			use_client(&bytes, given);
		free(given);
	}
	steady_end();
	return 0;
}
