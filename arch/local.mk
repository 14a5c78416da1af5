# SPDX-License-Identifier: MIT
#
# Ring variants: generic always, and the folder of the CPU family that is built for. CPUs that
# have no folder take the family of arch/generic.

libpealcore_la_SOURCES += \
	arch/arch.h \
	arch/generic/generic.c \
	arch/generic/generic.h

if PEAL_ARCH_X86
libpealcore_la_SOURCES += \
	arch/x86/machine.h \
	arch/x86/mwaitx.c \
	arch/x86/pause.c \
	arch/x86/umwait.c \
	arch/x86/x86.c \
	arch/x86/x86.h
else
libpealcore_la_SOURCES += \
	arch/generic/family.c
endif
