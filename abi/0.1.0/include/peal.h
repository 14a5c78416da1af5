/*
 * SPDX-License-Identifier: MIT
 *
 * Peal: messages between processes on one machine, through shared memory. This header takes in
 * the whole public interface; each of the headers below also stands alone. It knows nothing of
 * how the library does it, but for the few words that the inline verbs of peal/ring.h touch.
 */
#ifndef PEAL_H
#define PEAL_H

#include <peal/call.h>
#include <peal/client.h>
#include <peal/error.h>
#include <peal/link.h>
#include <peal/monitor.h>
#include <peal/options.h>
#include <peal/placement.h>
#include <peal/ring.h>
#include <peal/runtime.h>
#include <peal/server.h>
#include <peal/set.h>
#include <peal/stats.h>
#include <peal/version.h>

#endif
