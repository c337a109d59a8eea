package cri

import (
	"context"
	"fmt"
	"testing"

	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox"
)

// BenchmarkListContainers lists 1,000 containers, over the socket and without it.
func BenchmarkListContainers(b *testing.B) {
	h := newHarness(b, testConfig())
	for i := range 1000 {
		id := fmt.Sprintf("%064x", i)
		h.rt.containers[id] = &podsandbox.ContainerStatus{
			ID: id, SandboxID: id, State: podsandbox.ContainerRunning, Config: (&Server{}).containerConfig(goodContainer(), guest.Linux),
		}
	}
	b.Run("call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.srv.ListContainers(context.Background(), &rt.ListContainersRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("socket", func(b *testing.B) {
		for b.Loop() {
			if _, err := h.pods.ListContainers(context.Background(), &rt.ListContainersRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
