# SPDX-License-Identifier: MIT
#
# Fuzz targets, and what replays their corpus without a fuzzer. Adds its programs to proof_tests,
# and what they start to proof_helpers. See docs/assurance.md.
