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
	arch/x86/around.c \
	arch/x86/evict.c \
	arch/x86/machine.h \
	arch/x86/mwaitx.c \
	arch/x86/pause.c \
	arch/x86/umwait.c \
	arch/x86/x86.c \
	arch/x86/x86.h
else
if PEAL_ARCH_ARM64
libpealcore_la_SOURCES += \
	arch/arm64/arm64.c \
	arch/arm64/arm64.h \
	arch/arm64/isb.c \
	arch/arm64/machine.h \
	arch/arm64/wfe.c \
	arch/arm64/wfet.c
else
if PEAL_ARCH_RISCV
libpealcore_la_SOURCES += \
	arch/riscv/machine.h \
	arch/riscv/riscv.c \
	arch/riscv/riscv.h
else
libpealcore_la_SOURCES += \
	arch/generic/family.c
endif
endif
endif
