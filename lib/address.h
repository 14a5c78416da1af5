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

enum address_form {
	ADDRESS_PATH,      /* anything with a slash and no other form's prefix */
	ADDRESS_ABSTRACT,  /* @NAME */
	ADDRESS_DESCRIPTOR /* fd:N */
};

struct address {
	enum address_form form;
	/* For the platform: a path, or "@" and an abstract name; empty: a descriptor. */
	char where[ADDRESS_MAX + 2];
	int fd; /* -1: none */
	/* For people: the same, printable, with what it was taken for. */
	char shown[192];
};

/* Understands an address. 0 or a negative errno with its sentence. */
int address_parse(struct address *address, const char *text);

/* Whether it is a name in the file system, with a lock file, a mode and a group. */
bool address_is_file(const struct address *address);

/* Checks a descriptor that is an address, and makes it fit. It stays the caller's. 0 or a negative
 * errno with its sentence. */
int address_adopt(const struct address *address, bool listening);

/* What stands at a path, an enum platform_kind, in a word. */
const char *address_kind(int kind);

#endif
