/*
 * SPDX-License-Identifier: MIT
 *
 * The version of the headers that a program was compiled with; the library that it runs with says
 * its own in peal_runtime_version(). Filled in by configure.
 */
#ifndef PEAL_VERSION_H
#define PEAL_VERSION_H

/* As numbers, and as text. */
#define PEAL_VERSION_MAJOR 0
#define PEAL_VERSION_MINOR 1
#define PEAL_VERSION_PATCH 0
#define PEAL_VERSION "0.1.0"

#endif
