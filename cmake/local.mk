# SPDX-License-Identifier: MIT
#
# How to compile and link with Peal, for CMake.

cmakedir = $(libdir)/cmake/peal
cmake_DATA = cmake/peal-config.cmake cmake/peal-config-version.cmake
