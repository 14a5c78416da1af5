/*
 * SPDX-License-Identifier: MIT
 *
 * Complaints: the sentence behind a negative errno, as peal_error() keeps one for the library. It
 * travels from the partner to the driver with the reply that failed.
 */
#ifndef PEAL_PERF_COMPLAINT_H
#define PEAL_PERF_COMPLAINT_H

#include <stddef.h>

#define COMPLAINT_SIZE 256

/* Keeps the sentence for the calling thread and returns err, so that "return complain(...)" reads
 * well. */
int complain(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As complain(-errno, ...), with ": " and the meaning of errno behind the sentence. */
int complain_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The calling thread's last complaint, "" before the first. */
const char *complaint(void);

#endif
