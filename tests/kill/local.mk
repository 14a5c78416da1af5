# SPDX-License-Identifier: MIT
#
# kill -9 at every step. Adds its programs to proof_tests,
# and what they start to proof_helpers. See docs/assurance.md.
