#!/usr/bin/env bash
# Runs every fuzz target of the module, one after another, for the time given.
# Ends with an error that names the targets that failed.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-10s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=()
count=0
while IFS=: read -r file func; do
	target=${func#func }
	package=./$(dirname "$file")
	echo "fuzz: $package $target"
	count=$((count + 1))
	if go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" >"$log" 2>&1 </dev/null; then
		continue
	fi
	# The go command at times reports the end of the time itself as a failure.
	# A real one writes its input down.
	if grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log"; then
		continue
	fi
	cat "$log"
	failed+=("$package $target")
done < <(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go')
if ((${#failed[@]})); then
	printf 'fuzz: failed: %s\n' "${failed[@]}"
	exit 1
fi
echo "fuzz: $count targets passed"
