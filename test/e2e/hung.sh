#!/usr/bin/env bash
# Prints a pattern of the scenarios that failed, if in each of them the test client over anacrolix/torrent had hung:
# a thread of that library held the library's own lock for good. Then, and only then, they may be tried once more.
# Exits with 1 if any failed without that.
#
#	hung.sh FILE    what test/tally has written with -failures
set -euo pipefail

marker="the client's lock is never let go" # test/anacrolix prints it into the client's output, with all stacks
names=()
name=
while IFS= read -r line; do
	if [[ $line =~ ^FAIL\ +[^\ ]+\ (Test[^/]+)/(.+)$ ]]; then
		[ -z "$name" ] || exit 1 # the one before has kept no logs
		name=${BASH_REMATCH[2]}
	elif [[ $line == FAIL* ]]; then
		[ -z "$name" ] || exit 1
	elif [[ $line =~ logs\ and\ data\ are\ kept\ in\ (.+)$ && -n $name ]]; then
		if ! grep -rqsF --include=output.log "$marker" "${BASH_REMATCH[1]}"; then
			exit 1
		fi
		echo "$name: the test client hung, by itself; its stacks are in ${BASH_REMATCH[1]}" >&2
		names+=("$(sed 's/[][().*+?^$|\\{}]/\\&/g' <<<"$name")")
		name=
	fi
done <"$1"
[ -z "$name" ] && [ ${#names[@]} -gt 0 ] || exit 1
IFS='|'
echo "^(${names[*]})\$"
