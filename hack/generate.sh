#!/usr/bin/env bash
# Generates the Go code of the host-guest protocol. The plugins are built from
# modules at pinned versions, so everyone gets the same code.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/build/bin
mkdir -p "$bin"
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$bin go install github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc@v1.2.10
cd guest/api
PATH=$bin:$PATH protoc \
	--go_out=. --go_opt=paths=source_relative \
	--go-ttrpc_out=. --go-ttrpc_opt=paths=source_relative \
	agent.proto
