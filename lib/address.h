/*
 * SPDX-License-Identifier: MIT
 *
 * Addresses: which form a text has, and what socket it means to a server and to a client. Shared by
 * listen.c and connect.c; it knows nothing of handshakes.
 */
#ifndef LIB_ADDRESS_H
#define LIB_ADDRESS_H

#include <stdbool.h>

/* The longest name of a socket: sun_path less the zero behind a path, or before an abstract
 * name. */
#define ADDRESS_MAX 107

#define ADDRESS_NAME_MAX 63

enum address_form {
	ADDRESS_PATH,       /* anything with a slash and no other form's prefix */
	ADDRESS_ABSTRACT,   /* @NAME */
	ADDRESS_DESCRIPTOR, /* fd:N */
	ADDRESS_SYSTEMD,    /* systemd: or systemd:NAME */
	ADDRESS_NAME        /* anything else */
};

struct address {
	enum address_form form;
	/* For the platform: a path, or "@" and an abstract name; empty: a descriptor. */
	char where[ADDRESS_MAX + 2];
	int fd;         /* -1: none */
	char name[256]; /* NAME: without its folder; SYSTEMD: the socket's; empty: any */
	/* For people: the same, printable, with what it was taken for. */
	char shown[192];
};

/* Understands an address. 0 or a negative errno with its sentence. */
int address_parse(struct address *address, const char *text);

/*
 * Puts a name into one of the two folders that it can be in: the system's, or the user's own. Where
 * that is somebody else's to change, or cannot be told, it is a negative errno with its sentence.
 * make: for a server, which makes the folder.
 */
int address_place(struct address *address, bool system, bool make);

/* Whether it is a path, or a name in its place: something with a lock file, a mode and a group. */
bool address_is_file(const struct address *address);

/* Finds the listening socket that systemd has passed to this process. A descriptor of it, which is
 * the caller's to close, or a negative errno with its sentence. */
int address_inherit(struct address *address);

/* Checks a descriptor that is an address, and makes it fit. It stays the caller's. 0 or a negative
 * errno with its sentence. */
int address_adopt(const struct address *address, bool listening);

/* What stands at a path, an enum platform_kind, in a word. */
const char *address_kind(int kind);

#endif
