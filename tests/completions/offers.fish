# SPDX-License-Identifier: MIT
#
# fish offers.fish COMPLETIONS LINES OUT: what fish offers at the end of each line of the file LINES:
# into OUT/1, OUT/2, ...

for file in $argv[1]/fish/*.fish
	source $file
end
set -l number 0
while read -l -d \n line
	set number (math $number + 1)
	complete -C $line | string replace -r '\t.*' '' >$argv[3]/$number
end <$argv[2]
