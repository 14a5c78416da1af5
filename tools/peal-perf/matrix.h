/*
 * SPDX-License-Identifier: MIT
 *
 * The matrix: sizes down, numbers of clients across, for each transport and way of waiting.
 */
#ifndef PEAL_PERF_MATRIX_H
#define PEAL_PERF_MATRIX_H

#include "outcome.h"

void matrix_print(const struct outcomes *outcomes, const struct options *options);

#endif
