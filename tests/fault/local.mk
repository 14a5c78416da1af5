# SPDX-License-Identifier: MIT
#
# Faults: each system call of a scenario fails once. Adds its programs to proof_tests,
# and what they start to proof_helpers. See docs/assurance.md.
