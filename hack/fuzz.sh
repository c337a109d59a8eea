#!/usr/bin/env bash
# Runs every fuzz target of the module, one after another, for the time given.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-10s}
git grep -hoE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' >/dev/null || { echo "no fuzz targets"; exit 1; }
while IFS=: read -r file func; do
	target=${func#func }
	echo "fuzz: $(dirname "$file") $target"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")"
done < <(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go')
