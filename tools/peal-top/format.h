/*
 * SPDX-License-Identifier: MIT
 *
 * Figures and names as a person reads them, in few columns. It knows nothing of what they mean.
 */
#ifndef PEAL_TOP_FORMAT_H
#define PEAL_TOP_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_SIZE 24   /* room for any of these figures */
#define ADDRESS_SIZE 600 /* and for any address */

/* Each fits in five columns; "-" where the value is no number. */
void format_count(double value, char text[FORMAT_SIZE]);     /* "12.3k", thousands */
void format_bytes(double value, char text[FORMAT_SIZE]);     /* "1.2M", of 1024 each */
void format_duration(double ns, char text[FORMAT_SIZE]);     /* "12ms", "-" for 0 */
void format_bound(double ns, char text[FORMAT_SIZE]);        /* as duration, ">67ms" for INFINITY */
void format_percent(double percent, char text[FORMAT_SIZE]); /* without the sign */

/* Hours, minutes and seconds, behind days if there are any: "3d 04:05:06". */
void format_clock(uint64_t ns, char text[FORMAT_SIZE]);

/* A copy of what a stranger calls itself, in which whatever is not plain ASCII is a "?". */
void format_name(const char *name, char *text, size_t size);

/* An address that can be pasted into a shell: as it is if that is plain, else as $'...'. */
void format_address(const char *address, char *text, size_t size);

/* The name of a user, or its number; kept as long as the program runs. */
const char *format_user(uint32_t uid);

#endif
