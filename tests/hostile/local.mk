# SPDX-License-Identifier: MIT
#
# Hostile peers: who speaks the wire by hand, and lies. Adds its programs to proof_tests,
# and what they start to proof_helpers. See docs/assurance.md.
