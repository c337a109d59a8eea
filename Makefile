# Paddock's build. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := /usr/local/go/bin:$(PATH)

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
# Everything but the race detector's runs is static.
STATIC := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
GUEST := CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=false -ldflags "-s -w"
WINDOWS := CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go build -trimpath -buildvcs=false -ldflags "-s -w"
FUZZTIME ?= 10s
BENCHFLAGS ?=
CONFORMANCEFLAGS ?=
VOLUMESFLAGS ?=
POSIXFLAGS ?=
SHAREBENCHFLAGS ?=
CLUSTERFLAGS ?=

.DEFAULT_GOAL := build

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-zA-Z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: deps
deps: ## Install the Debian packages needed (apt-get, as root)
	@hack/install-deps.sh

.PHONY: build
build: build/paddock build/paddock-agent build/paddock-wininit.exe build/paddock-webhook ## Build the daemon, the guest's programs and the admission webhook

# Go itself knows what is out of date, so these always ask it.
.PHONY: build/paddock build/paddock-agent build/paddock-wininit.exe build/paddock-webhook
build/paddock:
	@mkdir -p build
	$(STATIC) -o $@ ./cmd/paddock
build/paddock-webhook:
	@mkdir -p build
	$(STATIC) -o $@ ./cmd/paddock-webhook
build/paddock-agent:
	@mkdir -p build
	$(GUEST) -o $@ ./cmd/paddock-agent
build/paddock-wininit.exe:
	@mkdir -p build
	$(WINDOWS) -o $@ ./cmd/paddock-wininit

build/crun: hack/crun.sh
	hack/crun.sh $@

.PHONY: guest
guest: build/paddock-agent build/crun build/paddock-wininit.exe ## Build the guest image, and the Wine disk of Windows pods: build/guest
	go run ./guest/image/mkguest

.PHONY: generate
generate: ## Generate code from the protocol's definition
	@hack/install-deps.sh generate
	hack/generate.sh

.PHONY: run
run: deps build guest ## Run the daemon with a sample Linux and Windows pod until Ctrl-C
	go -C e2e build -o ../build/bin/sample ./cmd/sample
	build/bin/sample

# Not the cluster: it wants the machine for itself, and runs last.
E2E = $(shell go -C e2e list ./... | grep -v /e2e/cluster$$)

define run-cluster
go -C e2e test -c -o ../build/bin/cluster.test ./cluster
cd e2e/cluster && ../../hack/again.sh ../../build/bin/cluster.test -test.timeout 40m
endef

# What takes long to build or to fetch the first time is made meanwhile, out of the
# tests' way: they wait more than they compute.
.PHONY: test
test: deps build guest lint critest ## Run the tests: units with the race detector, end to end, CRI validation two specs at once, a Kubernetes cluster, the Windows build
	@trap 'kill $$(jobs -p) 2>/dev/null || true' EXIT; nice -n 15 $(MAKE) k8s wine & $(MAKE) test-node; wait $$!
	$(MAKE) test-cluster
	$(MAKE) test-windows bridge

.PHONY: test-node
test-node:
	go test -race -timeout 20m ./...
	go -C e2e vet ./...
	go -C e2e test -timeout 30m -count=1 $(E2E)
	go -C e2e build -o ../build/bin/conformance ./cmd/conformance
	build/bin/conformance -parallel=2
	go -C e2e build -o ../build/bin/sample ./cmd/sample
	build/bin/sample -once

.PHONY: test-cluster
test-cluster:
	$(run-cluster)

.PHONY: wine
wine: deps ## Make the Wine that tests of Windows builds run under: .cache/wine (190 MB to fetch)
	hack/wine.sh .cache/wine

.PHONY: test-windows
test-windows: deps guest wine ## Test the Windows build under Wine: units, and the daemon against stand-ins for Hyper-V
	hack/test-windows.sh
	go -C e2e/windows vet ./...
	hack/again.sh go -C e2e/windows test -timeout 30m -count=1 ./...

.PHONY: e2e
e2e: deps build guest ## Run the end-to-end tests only
	go -C e2e test -timeout 30m -count=1 -v $(E2E)

.PHONY: bridge
bridge: deps guest critest ## Run the client of Windows' guest service against Microsoft's own for Linux, in a VM
	go -C e2e/bridge vet ./...
	hack/again.sh go -C e2e/bridge test -timeout 10m -count=1 -v ./... # Microsoft's service panics at times, at hcsv2/process.go:110

.PHONY: conformance
conformance: deps build guest critest ## Run Kubernetes' CRI validation suite, serially and two specs at once: build/conformance (CONFORMANCEFLAGS="-focus=...")
	go -C e2e build -o ../build/bin/conformance ./cmd/conformance
	build/bin/conformance $(CONFORMANCEFLAGS)

.PHONY: critest
critest: deps ## Build the CRI validation suite, and the busybox and web servers of its images
	hack/busybox.sh build/conformance/busybox
	hack/webservers.sh build/conformance/web
	go -C e2e test -c -o ../build/bin/critest sigs.k8s.io/cri-tools/cmd/critest
	go -C e2e build -o ../build/bin/ginkgo github.com/onsi/ginkgo/v2/ginkgo

.PHONY: volumes
volumes: deps build guest ## Run real servers with their data on shared folders, and kill their VMs: build/volumes (VOLUMESFLAGS="-only=postgres")
	go -C e2e build -o ../build/bin/volumes ./cmd/volumes
	build/bin/volumes $(VOLUMESFLAGS)

.PHONY: posix
posix: deps build guest ## Run suites of file system tests that others wrote, on a share and on the pod's ext4: build/posix (POSIXFLAGS="-only=libfuse")
	go -C e2e build -o ../build/bin/posix ./cmd/posix
	build/bin/posix $(POSIXFLAGS)

.PHONY: bench
bench: deps build guest critest peers ## Measure Paddock beside containerd + runc: build/bench, docs/benchmarks.md (BENCHFLAGS="-critest=0 -pods=20", ...)
	@hack/install-deps.sh bench
	go -C e2e build -o ../build/bin/bench ./cmd/bench
	build/bin/bench $(BENCHFLAGS)

.PHONY: bench-shares
bench-shares: deps build guest ## Measure a share beside QEMU's virtio-9p and virtiofs: build/sharebench (SHAREBENCHFLAGS="-rounds=1 -files=10000")
	go -C e2e build -o ../build/bin/sharebench ./cmd/sharebench
	build/bin/sharebench $(SHAREBENCHFLAGS)

PEER := -C e2e/peers build -trimpath -ldflags "-s -w"

.PHONY: peers
peers: ## Build containerd and runc, which benchmarks measure against
	@hack/install-deps.sh
	@mkdir -p build/bin
	CGO_ENABLED=0 go $(PEER) -o ../../build/bin/ github.com/containerd/containerd/v2/cmd/containerd github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2
	go $(PEER) -tags seccomp -o ../../build/bin/runc github.com/opencontainers/runc
	gcc -Os -static -s -Wall -o build/bin/pause e2e/images/pause/pause.c

# Kubernetes as one program. Minutes when built first; nothing while what it is made of stays.
KUBERNETES := v1.37.2
build/bin/k8s: e2e/cluster/k8s/main.go e2e/cluster/k8s/go.mod e2e/cluster/k8s/go.sum
	@mkdir -p build/bin
	CGO_ENABLED=0 nice -n 5 go -C e2e/cluster/k8s build -trimpath -o ../../../build/bin/k8s -ldflags "-s -w \
		-X k8s.io/component-base/version.gitVersion=$(KUBERNETES) -X k8s.io/component-base/version.gitMajor=1 \
		-X k8s.io/component-base/version.gitMinor=37 -X k8s.io/component-base/version.buildDate=1970-01-01T00:00:00Z" .

build/metrics-server/metrics-server: hack/metrics-server.sh
	hack/metrics-server.sh build/metrics-server

.PHONY: k8s
k8s: build/bin/k8s build/metrics-server/metrics-server ## Build Kubernetes' programs and metrics-server from their Go modules, for the cluster's tests

.PHONY: cluster
cluster: deps build guest k8s ## Run the tests of a Kubernetes cluster whose only runtime is Paddock (CLUSTERFLAGS="-test.run=Pods/Logs")
	$(run-cluster) -test.v $(CLUSTERFLAGS)

.PHONY: fuzz
fuzz: ## Run every fuzz target for a short time (FUZZTIME=10s)
	hack/fuzz.sh $(FUZZTIME)

.PHONY: lint
lint: ## Check formatting, vet for Linux and Windows
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [[ -n $$bad ]]; then echo "not formatted (gofmt -w):"; echo "$$bad"; exit 1; fi
	go vet ./...
	GOOS=windows go vet ./...

.PHONY: clean
clean: ## Remove what was built (downloads in .cache stay)
	rm -rf build
