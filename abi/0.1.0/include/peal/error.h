/*
 * SPDX-License-Identifier: MIT
 *
 * Errors. Every function that can fail returns a negative errno value; this gives the sentence
 * behind the last one, which names the value, the limit and the mend.
 */
#ifndef PEAL_ERROR_H
#define PEAL_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* What the library exports; everything else is hidden. */
#define PEAL_API __attribute__((visibility("default")))

/*
 * The sentence behind the calling thread's last failed Peal call; "" before the first. A later
 * success does not clear it. The text belongs to the library and holds until the thread's next
 * failed call; it never is NULL. Any thread; never enters the kernel.
 */
PEAL_API const char *peal_error(void);

#ifdef __cplusplus
}
#endif

#endif
