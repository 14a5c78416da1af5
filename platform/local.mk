# SPDX-License-Identifier: MIT
#
# What the library asks of the operating system.

libpealcore_la_SOURCES += \
	platform/platform.h \
	platform/linux/close.c \
	platform/linux/confinement.c \
	platform/linux/facts.c \
	platform/linux/facts.h \
	platform/linux/machine.c \
	platform/linux/memory.c \
	platform/linux/notify.c \
	platform/linux/path.c \
	platform/linux/poller.c \
	platform/linux/process.c \
	platform/linux/socket.c \
	platform/linux/socket.h \
	platform/linux/topology.c \
	platform/linux/waiter.c
