# SPDX-License-Identifier: MIT
#
# Examples: built with everything else, not installed. One file each, of the same name.

noinst_PROGRAMS += \
	examples/echo-client \
	examples/echo-server \
	examples/exchange
