/*
 * SPDX-License-Identifier: MIT
 *
 * Addresses: which form a text has, and what socket it means to a server and to a client. It knows
 * nothing of handshakes.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/address.h"
#include "lib/error.h"
#include "platform/platform.h"

/*
 * Puts a text behind a prefix, as it is to be shown. Whoever reads it may be at a terminal, which
 * obeys control characters; bytes of abstract names are in no encoding. What does not fit is left
 * out.
 */
static void show(struct address *address, const char *prefix, const char *text)
{
	size_t room = sizeof(address->shown);
	size_t at = (size_t)snprintf(address->shown, room, "%s", prefix);

	for (; *text && at + sizeof("\\xff...") <= room; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = c >= ' ' && c != 0x7f && c != '\\' &&
			     (c < 0x80 || address->form == ADDRESS_PATH);

		at += (size_t)snprintf(address->shown + at, room - at, plain ? "%c" : "\\x%02x", c);
	}
	if (*text)
		snprintf(address->shown + at, room - at, "...");
}

static int parse_abstract(struct address *address, const char *text)
{
	size_t length = strlen(text + 1);

	address->form = ADDRESS_ABSTRACT;
	if (!length)
		return error_literal(
			-EINVAL,
			"the address @ is an abstract one without a name, which the kernel would choose and no client could know: add one, like @peal");
	if (length > ADDRESS_MAX)
		return error_set(
			-ENAMETOOLONG,
			"the abstract address has %zu bytes behind its @, and may have %d: use a shorter one",
			length, ADDRESS_MAX);
	memcpy(address->where, text, length + 2);
	show(address, "abstract address ", text);
	return 0;
}

static int parse_path(struct address *address, const char *text)
{
	size_t length = strlen(text);

	address->form = ADDRESS_PATH;
	if (length > ADDRESS_MAX)
		return error_set(
			-ENAMETOOLONG,
			"the address has %zu bytes, a socket's path at most %d: use a shorter folder",
			length, ADDRESS_MAX);
	memcpy(address->where, text, length + 1);
	show(address, "", text);
	if (text[length - 1] == '/')
		return error_set(
			-EINVAL,
			"the address \"%s\" ends with a slash, as a folder does: add a name, like %speal",
			address->shown, address->shown);
	return 0;
}

int address_parse(struct address *address, const char *text)
{
	memset(address, 0, sizeof(*address));
	if (!text || !*text)
		return error_literal(
			-EINVAL,
			"the address is empty: pass the path of a socket, or another form (see peal_listen)");
	if (*text == '@')
		return parse_abstract(address, text);
	if (strchr(text, '/'))
		return parse_path(address, text);
	return error_set(-EINVAL, "the address \"%.64s\" has no slash: pass a path, like ./%.64s",
			 text, text);
}

bool address_is_file(const struct address *address)
{
	return address->form == ADDRESS_PATH;
}

const char *address_kind(int kind)
{
	static const char *const names[] = {
		[PLATFORM_NOTHING] = "nothing",    [PLATFORM_SOCKET] = "socket",
		[PLATFORM_FILE] = "file",          [PLATFORM_FOLDER] = "folder",
		[PLATFORM_LINK] = "symbolic link", [PLATFORM_DEVICE] = "pipe or device",
	};

	return names[kind];
}
