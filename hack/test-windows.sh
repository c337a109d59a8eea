#!/usr/bin/env bash
# Vets the Windows build, in the form for Wine too, and runs under Wine the unit
# tests of every package that has tests on Windows. One program of Wine's is kept
# running: to start all of Wine anew takes half a second each time.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOOS=windows CGO_ENABLED=0
wine=$PWD/.cache/wine/wine

go vet -tags wine ./...
bin=$(mktemp -d)
trap 'kill "${keeper:-}" 2>/dev/null || true; rm -rf "$bin"' EXIT
mkfifo "$bin/held"
exec 9<>"$bin/held" # a writer, so that the program waits for input that never comes
"$wine" cmd.exe /c pause <"$bin/held" >/dev/null 2>&1 9>&- &
keeper=$!

# The root package's tests are about the tree, and call Go. They were run on Linux.
mapfile -t packages < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | grep -v '/paddock$')
go test -tags wine -short -timeout 10m -count=1 -exec "$wine" "${packages[@]}"
