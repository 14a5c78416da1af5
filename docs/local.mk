# SPDX-License-Identifier: MIT
#
# The reference of the public headers, by Doxygen: "make doxygen" makes doxygendir/html/index.html.
# It is neither kept nor installed.

doxygendir = api
doxygen: include/peal/version.h
	output=`mkdir -p '$(doxygendir)' && cd '$(doxygendir)' && pwd` && \
		rm -rf "$$output/html" && cd '$(srcdir)' && \
		PEAL_DOXYGEN_VERSION='$(VERSION)' PEAL_DOXYGEN_OUTPUT="$$output" \
		PEAL_DOXYGEN_INPUT='$(abs_top_builddir)/include' doxygen docs/Doxyfile
clean-local:
	rm -rf api
.PHONY: doxygen
