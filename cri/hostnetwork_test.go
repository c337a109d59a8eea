package cri

import (
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox"
)

// A pod on the node's network has no address of its own, its namespace mode is
// told, and so is what the node does not lead to it.
func TestHostNetwork(t *testing.T) {
	cfg := testConfig()
	cfg.HostNetwork = true
	h := newHarness(t, cfg)
	ctx := testContext(t)
	pod := goodSandbox()
	pod.Linux.SecurityContext.NamespaceOptions.Network = rt.NamespaceMode_NODE
	if _, err := h.pods.RunPodSandbox(ctx, &rt.RunPodSandboxRequest{Config: pod}); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "net.core.somaxconn") {
		t.Errorf("with a sysctl of the node's network: %v", err)
	}
	pod.Linux.Sysctls = map[string]string{"kernel.shmmax": "1048576"}
	made, err := h.pods.RunPodSandbox(ctx, &rt.RunPodSandboxRequest{Config: pod})
	if err != nil {
		t.Fatal(err)
	}
	sb := h.rt.sandboxes[made.PodSandboxId]
	sb.Network = &network.Attachment{Node: netip.MustParseAddr("169.254.64.1"), Interfaces: []network.Interface{
		{Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("169.254.64.2/30")}},
	}}
	sb.RefusedPorts = []network.Refusal{{Port: network.HostPort{Protocol: network.UDP, Port: 53}, Reason: "in use on the node"}}
	st, err := h.pods.PodSandboxStatus(ctx, &rt.PodSandboxStatusRequest{PodSandboxId: made.PodSandboxId, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := st.Status.Network; n == nil || n.Ip != "" || len(n.AdditionalIps) != 0 {
		t.Errorf("network %v", n)
	}
	if mode := st.Status.Linux.Namespaces.Options.Network; mode != rt.NamespaceMode_NODE || sb.Config.Namespaces.Network != podsandbox.NamespaceNode {
		t.Errorf("namespace mode %v", mode)
	}
	if info := st.Info["network"]; !strings.Contains(info, `"host":true`) || !strings.Contains(info, "53/udp: in use on the node") {
		t.Errorf("info %s", info)
	}
}
