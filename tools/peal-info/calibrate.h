/*
 * SPDX-License-Identifier: MIT
 *
 * What a ring does best with on the machine at hand.
 */
#ifndef PEAL_INFO_CALIBRATE_H
#define PEAL_INFO_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>

#define CALIBRATE_ROUNDS 7
#define CALIBRATE_ROUNDS_MAX 1000
#define CALIBRATE_NS 50000000u

/*
 * Measures each usable ring variant with each of some values of the numbers that a variable can
 * set, in so many rounds of so many nanoseconds each, and tells what to set. The caller has not
 * used the library's runtime, and does not before this returns. False: it could not be measured,
 * for which there is a sentence on stderr.
 */
bool calibrate(unsigned rounds, uint64_t duration_ns, bool json);

#endif
