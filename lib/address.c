/*
 * SPDX-License-Identifier: MIT
 *
 * Addresses: which form a text has, and what socket it means to a server and to a client. It knows
 * nothing of handshakes.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
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

static int parse_descriptor(struct address *address, const char *text)
{
	unsigned long long number = 0;
	const char *digit = text + 3;

	while (*digit >= '0' && *digit <= '9' && number <= INT_MAX)
		number = number * 10 + (unsigned)(*digit++ - '0');
	if (digit == text + 3 || *digit || number > INT_MAX)
		return error_set(
			-EINVAL,
			"the address \"%.64s\" begins like a descriptor, and \"%.64s\" is no number up to %d: pass one like fd:3, or ./%.64s for a path",
			text, text + 3, INT_MAX, text);
	address->form = ADDRESS_DESCRIPTOR;
	address->fd = (int)number;
	snprintf(address->shown, sizeof(address->shown), "descriptor %d", address->fd);
	return 0;
}

int address_parse(struct address *address, const char *text)
{
	memset(address, 0, sizeof(*address));
	address->fd = -1;
	if (!text || !*text)
		return error_literal(
			-EINVAL,
			"the address is empty: pass the path of a socket, or another form (see peal_listen)");
	if (*text == '@')
		return parse_abstract(address, text);
	if (!strncmp(text, "fd:", 3))
		return parse_descriptor(address, text);
	if (strchr(text, '/'))
		return parse_path(address, text);
	return error_set(-EINVAL, "the address \"%.64s\" has no slash: pass a path, like ./%.64s",
			 text, text);
}

bool address_is_file(const struct address *address)
{
	return address->form == ADDRESS_PATH;
}

int address_adopt(const struct address *address, bool listening)
{
	static const char make[] = "make it with socket(AF_UNIX, SOCK_SEQPACKET, 0)";
	const char *shown = address->shown;
	int err = platform_adopt(address->fd, listening);

	switch (err) {
	case 0:
		return 0;
	case -EBADF:
		return error_set(err, "%s is not open: pass one that is", shown);
	case -ENOTSOCK:
		return error_set(err, "%s is no socket: %s", shown, make);
	case -EAFNOSUPPORT:
		return error_set(err, "%s is no Unix socket: %s", shown, make);
	case -EPROTOTYPE:
		return error_set(err,
				 "%s is a Unix socket, but of another type than SOCK_SEQPACKET: %s",
				 shown, make);
	case -ENOTCONN:
		return error_set(err,
				 listening ? "%s does not listen: call listen(2) first" :
					     "%s is not connected: connect it first",
				 shown);
	case -EINVAL:
		return error_set(err,
				 listening ?
					 "%s is connected, and a server needs one that listens" :
					 "%s listens, and a client needs one that is connected",
				 shown);
	default:
		return error_set(err, "%s cannot be used (errno %d): see errno(3)", shown, -err);
	}
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
