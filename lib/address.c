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

/* What a text of decimal digits says, up to INT_MAX; -1: it is something else. */
static int64_t read_number(const char *text)
{
	int64_t number = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		number = number * 10 + (*text - '0');
		if (number > INT_MAX)
			return -1;
	}
	return number;
}

static int parse_descriptor(struct address *address, const char *text)
{
	int64_t number = read_number(text + strlen("fd:"));

	address->form = ADDRESS_DESCRIPTOR;
	show(address, "", text);
	if (number < 0)
		return error_set(
			-EINVAL,
			"the address \"%s\" begins like a descriptor, without a number up to %d behind it: pass one like fd:3, or ./%s for a path",
			address->shown, INT_MAX, address->shown);
	address->fd = (int)number;
	snprintf(address->shown, sizeof(address->shown), "descriptor %d", address->fd);
	return 0;
}

static int parse_systemd(struct address *address, const char *text)
{
	const char *name = text + strlen("systemd:");

	address->form = ADDRESS_SYSTEMD;
	show(address, "", text);
	if (strlen(name) >= sizeof(address->name))
		return error_set(
			-ENAMETOOLONG,
			"the address \"%s\" has %zu bytes behind systemd:, and a socket's name there at most %zu: see FileDescriptorName= in its unit",
			address->shown, strlen(name), sizeof(address->name) - 1);
	memcpy(address->name, name, strlen(name) + 1);
	return 0;
}

static int parse_name(struct address *address, const char *text)
{
	static const char form[] =
		"a name has 1 to 63 of A-Z, a-z, 0-9, \".\", \"_\" and \"-\" and begins with no dot";
	size_t length = strlen(text);

	address->form = ADDRESS_NAME;
	show(address, "", text);
	if (length > ADDRESS_NAME_MAX)
		return error_set(
			-ENAMETOOLONG,
			"the address \"%s\" has no slash, so it is a name, of %zu bytes: %s; for a path begin with ./",
			address->shown, length, form);
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '_' || c == '-' || (c == '.' && i))
			continue;
		return error_set(
			-EINVAL,
			"the address \"%s\" has no slash, so it is a name: %s; for a path begin with ./",
			address->shown, form);
	}
	memcpy(address->name, text, length + 1);
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
	if (!strncmp(text, "systemd:", 8))
		return parse_systemd(address, text);
	if (strchr(text, '/'))
		return parse_path(address, text);
	return parse_name(address, text);
}

/* Whether nobody but the owner, or root, can change what is in a folder. */
static int check_folder(const struct address *address, const char *path, uint32_t owner,
			bool parent)
{
	static const char mend[] = "mend it or pass a path";
	struct platform_access access;
	int err = platform_look_at_folder(path, parent, &access);

	if (err == -ELOOP || err == -ENOTDIR)
		return error_set(
			-EPERM,
			"the folder of the name \"%s\" is not safe: %s is %s; remove it or pass a path",
			address->name, path, err == -ELOOP ? "a symbolic link" : "no folder");
	if (err)
		return err == -ENOENT ?
			       err :
			       error_set(
				       -EACCES,
				       "no permission to look at %s (errno %d), for the name \"%s\": %s",
				       path, -err, address->name, mend);
	if (access.owner != owner && !(parent && access.owner == 0))
		return error_set(
			-EPERM,
			"the folder of the name \"%s\" is not safe: %s belongs to user %u and not to %u; %s",
			address->name, path, access.owner, owner, mend);
	if ((access.mode & 022) && !(parent && (access.mode & 01000)))
		return error_set(
			-EPERM,
			"the folder of the name \"%s\" is not safe: others may write in %s (mode 0%o); %s",
			address->name, path, access.mode, mend);
	return 0;
}

int address_place(struct address *address, bool system, bool make)
{
	const char *parent = system ? "/run" : platform_variable("XDG_RUNTIME_DIR");
	uint32_t owner = system ? 0 : platform_uid();
	char folder[ADDRESS_MAX + 1];
	size_t length;
	int err;

	if (!parent || *parent != '/')
		return error_set(
			-ENOENT,
			"the name \"%s\" has no folder here: XDG_RUNTIME_DIR is %s; set it (a login does, like /run/user/%u), or pass a path",
			address->name,
			parent ? "no path from the root on" :
				 "not set (nor seen by a program with raised privileges)",
			owner);
	length = strlen(parent) + strlen("/peal/") + strlen(address->name);
	if (length > ADDRESS_MAX)
		return error_set(
			-ENAMETOOLONG,
			"the name \"%s\" has %zu bytes with its folder in XDG_RUNTIME_DIR, a socket's path at most %d: use a shorter one, or pass a path",
			address->name, length, ADDRESS_MAX);
	snprintf(folder, sizeof(folder), "%s/peal", parent);
	snprintf(address->where, sizeof(address->where), "%s/%s", folder, address->name);
	show(address, "", address->where);
	err = check_folder(address, parent, owner, true);
	if (!err && make) {
		err = platform_make_folder(folder, system ? 0755 : 0700);
		if (err == -EEXIST)
			err = 0;
		else if (err)
			return error_set(
				err,
				"the folder %s of the name \"%s\" cannot be made (errno %d): see mkdir(2), or pass a path",
				folder, address->name, -err);
	}
	if (!err)
		err = check_folder(address, folder, owner, false);
	if (err == -ENOENT)
		return make ? error_set(err,
					"no folder %s for the name \"%s\": make it, or pass a path",
					parent, address->name) :
			      0; /* connecting says so */
	return err;
}

bool address_is_file(const struct address *address)
{
	return address->form == ADDRESS_PATH || address->form == ADDRESS_NAME;
}

int address_adopt(const struct address *address, bool listening)
{
	bool systemd = address->form == ADDRESS_SYSTEMD;
	const char *shown = address->shown;
	const char *make = systemd ? "let its unit say ListenSequentialPacket=" :
				     "make it with socket(AF_UNIX, SOCK_SEQPACKET, 0)";
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
		if (!listening)
			return error_set(
				err, "%s listens, and a client needs one that is connected", shown);
		return error_set(err, "%s is connected, and a server needs one that listens%s",
				 shown, systemd ? ": let its unit say Accept=no" : "");
	default:
		return error_set(err, "%s cannot be used (errno %d): see errno(3)", shown, -err);
	}
}

/* The protocol of sd_listen_fds(3): so many descriptors from 3 on, with names in between colons,
 * and the process that they are for. */
#define FIRST_DESCRIPTOR 3

/* How many of count descriptors can be meant, 2 for more; *fd is the first. */
static int find_inherited(const char *wanted, const char *names, int64_t count, int *fd)
{
	size_t length = strlen(wanted);
	int found = 0;

	for (int64_t i = 0; i < count && found < 2 && (names || !length); i++) {
		size_t here = names ? strcspn(names, ":") : 0;

		if ((!length || (here == length && !memcmp(names, wanted, length))) && !found++)
			*fd = FIRST_DESCRIPTOR + (int)i;
		if (names)
			names = names[here] ? names + here + 1 : NULL;
	}
	return found;
}

int address_inherit(struct address *address)
{
	const char *names = platform_variable("LISTEN_FDNAMES");
	const char *pid = platform_variable("LISTEN_PID");
	const char *fds = platform_variable("LISTEN_FDS");
	int64_t count = fds ? read_number(fds) : -1;
	int found, err;

	if (!pid || !fds)
		return error_set(
			-ENOENT,
			"%s: systemd has passed no socket: LISTEN_%s is not set (nor seen by a program with raised privileges); start this by its .socket unit, or pass a path",
			address->shown, pid ? "FDS" : "PID");
	if (read_number(pid) != platform_pid())
		return error_set(
			-ENOENT,
			"%s: systemd has passed its sockets to process %.20s (LISTEN_PID), and this is %lld: use exec where something stands in between, or pass a path",
			address->shown, pid, (long long)platform_pid());
	if (count < 1 || count > INT_MAX - FIRST_DESCRIPTOR)
		return error_set(
			-ENOENT,
			"%s: LISTEN_FDS is \"%.20s\", which is no number of sockets from 1 on: see the .socket unit, or pass a path",
			address->shown, fds);
	found = find_inherited(address->name, names, count, &address->fd);
	if (!found)
		return error_set(
			-ENOENT,
			"%s: none of the %lld sockets that systemd has passed is called so, but %.100s: see FileDescriptorName= in the .socket unit",
			address->shown, (long long)count, names ? names : "nothing");
	if (found > 1)
		return error_set(
			-EINVAL,
			"%s: systemd has passed more than one such socket (%.100s): give each a FileDescriptorName= in a unit of its own, and pass systemd:NAME",
			address->shown, names ? names : "without names");
	snprintf(address->shown, sizeof(address->shown), "systemd's descriptor %d", address->fd);
	err = address_adopt(address, true);
	if (err)
		return err;
	/* Another one: systemd's stay open under their numbers, for whoever else goes by them. */
	err = platform_duplicate(address->fd);
	return err >= 0 ?
		       err :
		       error_set(err,
				 "%s cannot be duplicated (errno %d): raise the limit (ulimit -n)",
				 address->shown, -err);
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
