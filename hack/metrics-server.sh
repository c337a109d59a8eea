#!/usr/bin/env bash
# Builds metrics-server from its Go module, with the manifests of that version beside it.
#
#   hack/metrics-server.sh FOLDER
set -euo pipefail

version=v0.9.0
output=$(realpath -m "${1:?usage: hack/metrics-server.sh FOLDER}")

mkdir -p "$output"
GOBIN=$output CGO_ENABLED=0 nice -n 5 go install -trimpath -ldflags="-s -w" "sigs.k8s.io/metrics-server/cmd/metrics-server@$version"
rm -rf "$output/manifests"
cp -r --no-preserve=mode "$(go env GOMODCACHE)/sigs.k8s.io/metrics-server@$version/manifests/base" "$output/manifests"
touch "$output/metrics-server" # newer than this script
