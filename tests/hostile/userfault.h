/*
 * SPDX-License-Identifier: MIT
 *
 * A page that is never delivered: whoever touches it waits, the kernel on its behalf too, with all
 * the locks that it holds. Knows nothing of Peal.
 */
#ifndef TESTS_HOSTILE_USERFAULT_H
#define TESTS_HOSTILE_USERFAULT_H

#include <stdbool.h>

struct userfault {
	void *at;
	int fd;
};

/* False: none is to be had here, and the running test is marked as skipped. */
bool userfault_begin(struct userfault *userfault);

/* Waits until somebody has touched it. */
void userfault_await(const struct userfault *userfault);

/* Everybody who waits finds zeros. */
void userfault_end(struct userfault *userfault);

#endif
