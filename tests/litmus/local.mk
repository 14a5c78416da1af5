# SPDX-License-Identifier: MIT
#
# Litmus programs: whether the barriers hold across processes, on this machine. Adds its programs to proof_tests,
# and what they start to proof_helpers. See docs/assurance.md.
