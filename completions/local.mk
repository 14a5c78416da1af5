# SPDX-License-Identifier: MIT
#
# Completions for shells: a folder a shell, a file a command, where each shell looks for those of
# other packages. Distributions whose shells look elsewhere set these folders.

bashcompletionsdir = $(datadir)/bash-completion/completions
dist_bashcompletions_DATA = \
	completions/bash/peal-cat \
	completions/bash/peal-info \
	completions/bash/peal-perf \
	completions/bash/peal-top \
	completions/bash/peal-tune

zshcompletionsdir = $(datadir)/zsh/site-functions
dist_zshcompletions_DATA = \
	completions/zsh/_peal-cat \
	completions/zsh/_peal-info \
	completions/zsh/_peal-perf \
	completions/zsh/_peal-top \
	completions/zsh/_peal-tune

fishcompletionsdir = $(datadir)/fish/vendor_completions.d
dist_fishcompletions_DATA = \
	completions/fish/peal-cat.fish \
	completions/fish/peal-info.fish \
	completions/fish/peal-perf.fish \
	completions/fish/peal-top.fish \
	completions/fish/peal-tune.fish
