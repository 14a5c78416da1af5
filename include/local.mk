# SPDX-License-Identifier: MIT
#
# The public headers: these are installed, and no others.

include_HEADERS = include/peal.h

pealincludedir = $(includedir)/peal
pealinclude_HEADERS = \
	include/peal/call.h \
	include/peal/client.h \
	include/peal/error.h \
	include/peal/link.h \
	include/peal/monitor.h \
	include/peal/options.h \
	include/peal/placement.h \
	include/peal/ring.h \
	include/peal/runtime.h \
	include/peal/server.h \
	include/peal/set.h \
	include/peal/stats.h
nodist_pealinclude_HEADERS = include/peal/version.h
