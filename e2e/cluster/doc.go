// Package cluster runs Kubernetes for tests and benchmarks: a control plane,
// kube-proxy and one kubelet whose only runtime is Paddock, as processes of this
// machine in a network namespace of their own (see Isolate), so that fixed ports
// and packet filter rules meet nobody else's.
package cluster
