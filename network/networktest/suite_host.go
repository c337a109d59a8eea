package networktest

import (
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// HostRequest is a plain request for a sandbox on the node's network.
func HostRequest(id string) network.Request {
	req := Request(id)
	req.Host = true
	return req
}

func setupHost(t *testing.T, n network.Network, id string) *network.Attachment {
	t.Helper()
	a, err := n.Setup(t.Context(), HostRequest(id))
	if err != nil {
		t.Fatalf("Setup %s in host mode: %v", id, err)
	}
	return a
}

func expose(t *testing.T, n network.Network, id string, ports ...network.HostPort) []network.Refusal {
	t.Helper()
	refused, err := n.Expose(t.Context(), id, ports)
	if err != nil {
		t.Fatalf("Expose %v for %s: %v", ports, id, err)
	}
	return refused
}

func nodeListens(t *testing.T, n network.Network, id string, port network.HostPort) bool {
	t.Helper()
	list, err := n.NodeListeners(t.Context(), id)
	if err != nil {
		t.Fatalf("NodeListeners of %s: %v", id, err)
	}
	return slices.Contains(list, port)
}

// freePort is a port that nothing on the node listens on.
func freePort(t *testing.T) network.HostPort {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return network.HostPort{Port: uint16(l.Addr().(*net.TCPAddr).Port)}
}

func testNoHostMode(t *testing.T, n network.Network, _ Env) {
	for _, prepared := range []bool{false, true} {
		if prepared {
			closeEndpoint(prepare(t, n, "host"))
		}
		if a, err := n.Setup(t.Context(), HostRequest("host")); !errors.Is(err, network.ErrNoHostMode) {
			t.Errorf("Setup in host mode: %+v, %v", a, err)
		}
	}
}

func testHostSetup(t *testing.T, n network.Network, env Env) {
	a := setupHost(t, n, "host")
	defer teardown(t, n, "host")
	defer CloseEndpoints(a)
	if !a.Host() || len(a.IPs()) != 0 {
		t.Errorf("attachment %+v: want the node's end of a link and no addresses of the pod's", a)
	}
	i := a.Interfaces[0]
	if i.Name != "eth0" || len(i.MAC) != 6 || i.MTU < 576 || len(i.Addresses) == 0 || len(i.Routes) == 0 || !i.Addresses[0].Contains(a.Node) {
		t.Errorf("interface %+v, node's end %v", i, a.Node)
	}
	b, err := env.Open(t).Open(t.Context(), "host")
	if err != nil || b.Node != a.Node {
		t.Errorf("Open after restart: %+v, %v", b, err)
	}
	second := setupHost(t, n, "host2")
	defer teardown(t, n, "host2")
	defer CloseEndpoints(second)
	if second.Interfaces[0].Addresses[0].Masked() == i.Addresses[0].Masked() {
		t.Errorf("two sandboxes share the link %v", i.Addresses[0])
	}
}

func testExpose(t *testing.T, n network.Network, env Env) {
	CloseEndpoints(setupHost(t, n, "a"))
	defer func() { teardown(t, n, "a") }()
	CloseEndpoints(setupHost(t, n, "b"))
	defer func() { teardown(t, n, "b") }()
	port := freePort(t)
	if refused := expose(t, n, "a", port); len(refused) != 0 {
		t.Fatalf("refused %v", refused)
	}
	if nodeListens(t, n, "a", port) || !nodeListens(t, n, "b", port) {
		t.Error("a port of one sandbox is the node's for that one, or is not for another")
	}
	if refused := expose(t, n, "b", port); len(refused) != 1 || refused[0].Port != port || refused[0].Reason == "" {
		t.Errorf("another sandbox's port is refused as %v", refused)
	}
	if refused := expose(t, n, "a", network.HostPort{Protocol: network.SCTP, Port: port.Port}); len(refused) != 1 {
		t.Errorf("a protocol without means is refused as %v", refused)
	}
	// The set has replaced the earlier one: the port is free for b.
	if refused := expose(t, n, "b", port); len(refused) != 0 {
		t.Errorf("a port given up is refused: %v", refused)
	}
	n = env.Open(t)
	if refused := expose(t, n, "b", port); len(refused) != 0 {
		t.Errorf("after a restart one's own port is refused: %v", refused)
	}
	teardown(t, n, "b")
	if refused := expose(t, n, "a", port); len(refused) != 0 {
		t.Errorf("the port of a sandbox that is gone is refused: %v", refused)
	}
}

func testExposeUnknown(t *testing.T, n network.Network, _ Env) {
	CloseEndpoints(setup(t, n, "plain"))
	defer teardown(t, n, "plain")
	for _, id := range []string{"never-was", "plain"} {
		if _, err := n.Expose(t.Context(), id, nil); !errors.Is(err, vm.ErrNotFound) {
			t.Errorf("Expose for %s: %v", id, err)
		}
	}
}

// What is prepared before its pod is known can become a sandbox in host mode.
func testPreparedHost(t *testing.T, n network.Network, _ Env) {
	e := prepare(t, n, "prepared")
	defer closeEndpoint(e)
	a := setupHost(t, n, "prepared")
	defer teardown(t, n, "prepared")
	defer CloseEndpoints(a)
	port := freePort(t)
	if refused := expose(t, n, "prepared", port); len(refused) != 0 {
		t.Errorf("refused %v", refused)
	}
}
