/*
 * SPDX-License-Identifier: MIT
 *
 * Options as the library sees them: checked, and with the defaults filled in.
 */
#ifndef LIB_OPTIONS_H
#define LIB_OPTIONS_H

#include <peal/options.h>

/* Checks what a caller gave (NULL: nothing) and fills in all defaults; options->name is never NULL
 * afterwards and at most 63 bytes count. 0 or a negative errno with its sentence. */
int options_take(struct peal_options *options, const struct peal_options *given);

/* The longest max_message. */
#define MESSAGE_MAX ((uint64_t)64 << 30)

/* The longest message in one record of a ring of this capacity that these options accept. */
uint64_t options_largest(const struct peal_options *options, uint64_t capacity);

/* The default of max_message for a client, which does not know yet what ring it will read. */
uint64_t options_client_message(const struct peal_options *options);

/* What an rx_asleep word is born with. */
uint32_t options_asleep_word(const struct peal_options *options);

/* A name of a peer's or ours, printable and terminated, from at most 63 bytes of text. */
void options_copy_name(char to[64], const char *from);

#endif
