package networktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Env makes networks over one host state.
type Env struct {
	// Open returns a Network as a newly started process would have it; the earlier one's process has ended.
	Open func(t *testing.T) network.Network
	// Snapshot lists everything on the host that a Network could leave behind, each as a line.
	// nil: nothing to look at.
	Snapshot func(t *testing.T) []string
	// NoHostMode: sandboxes cannot be on the node's network.
	NoHostMode bool
}

// Request is a plain request for a sandbox.
func Request(id string) network.Request {
	return network.Request{SandboxID: id, PodName: "pod-" + id, PodNamespace: "default", PodUID: "uid-" + id}
}

// Run checks that an implementation keeps network.Network's contract.
func Run(t *testing.T, env Env) {
	tests := map[string]func(*testing.T, network.Network, Env){
		"SetupGivesAnAddress": testSetup,
		"SetupTwice":          testSetupTwice,
		"AfterRestart":        testRestart,
		"TeardownUnknown":     testTeardownUnknown,
		"OpenUnknown":         testOpenUnknown,
		"BadID":               testBadID,
		"Parallel":            testParallel,
		"Cancelled":           testCancelled,
		"Status":              testStatus,
		"Prepared":            testPrepared,
		"PreparedUnused":      testPreparedUnused,
	}
	host := map[string]func(*testing.T, network.Network, Env){
		"HostSetup":     testHostSetup,
		"PreparedHost":  testPreparedHost,
		"Expose":        testExpose,
		"ExposeUnknown": testExposeUnknown,
	}
	if env.NoHostMode {
		host = map[string]func(*testing.T, network.Network, Env){"NoHostMode": testNoHostMode, "ExposeUnknown": testExposeUnknown}
	}
	maps.Copy(tests, host)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var before []string
			if env.Snapshot != nil {
				before = env.Snapshot(t)
			}
			n := env.Open(t)
			test(t, n, env)
			if ids, err := n.List(t.Context()); err != nil || len(ids) != 0 {
				t.Errorf("List after all is torn down = %v, %v", ids, err)
			}
			if env.Snapshot != nil {
				checkSame(t, before, env.Snapshot(t))
			}
		})
	}
}

func checkSame(t *testing.T, before, after []string) {
	t.Helper()
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("left behind: %s", line)
		}
	}
}

func setup(t *testing.T, n network.Network, id string) *network.Attachment {
	t.Helper()
	a, err := n.Setup(t.Context(), Request(id))
	if err != nil {
		t.Fatalf("Setup %s: %v", id, err)
	}
	return a
}

func teardown(t *testing.T, n network.Network, id string) {
	t.Helper()
	if err := n.Teardown(context.WithoutCancel(t.Context()), id); err != nil {
		t.Errorf("Teardown %s: %v", id, err)
	}
}

// CloseEndpoints releases what Setup handed over and no VM took.
func CloseEndpoints(a *network.Attachment) {
	for _, i := range a.Interfaces {
		closeEndpoint(i.Endpoint)
	}
}

func testSetup(t *testing.T, n network.Network, _ Env) {
	a := setup(t, n, "one")
	defer teardown(t, n, "one")
	defer CloseEndpoints(a)
	if a.NetNS == "" || len(a.Interfaces) == 0 || a.Interfaces[0].Name != "eth0" {
		t.Fatalf("attachment %+v", a)
	}
	i := a.Interfaces[0]
	if len(i.MAC) != 6 || i.MTU < 576 || len(a.IPs()) == 0 || len(i.Routes) == 0 {
		t.Errorf("interface %+v", i)
	}
	ids, err := n.List(t.Context())
	if err != nil || !slices.Equal(ids, []string{"one"}) {
		t.Errorf("List = %v, %v", ids, err)
	}
}

func testSetupTwice(t *testing.T, n network.Network, _ Env) {
	a := setup(t, n, "twice")
	defer teardown(t, n, "twice")
	defer CloseEndpoints(a)
	if b := setup(t, n, "twice"); !slices.Equal(a.IPs(), b.IPs()) {
		t.Errorf("second Setup gave %v after %v", b.IPs(), a.IPs())
	}
}

func testRestart(t *testing.T, n network.Network, env Env) {
	a := setup(t, n, "restart")
	defer CloseEndpoints(a)
	n = env.Open(t)
	b, err := n.Open(t.Context(), "restart")
	if err != nil || !slices.Equal(a.IPs(), b.IPs()) || b.NetNS != a.NetNS {
		t.Errorf("Open after restart: %+v, %v", b, err)
	}
	teardown(t, n, "restart")
	teardown(t, n, "restart")
}

func testPrepared(t *testing.T, n network.Network, _ Env) {
	e := prepare(t, n, "prepared")
	defer closeEndpoint(e)
	if _, err := n.Prepare(t.Context(), "prepared"); !errors.Is(err, vm.ErrExists) {
		t.Errorf("second Prepare: %v", err)
	}
	if ids, err := n.List(t.Context()); err != nil || !slices.Equal(ids, []string{"prepared"}) {
		t.Errorf("List = %v, %v", ids, err)
	}
	a := setup(t, n, "prepared")
	defer teardown(t, n, "prepared")
	defer CloseEndpoints(a)
	if len(a.IPs()) == 0 || a.Interfaces[0].Name != "eth0" {
		t.Fatalf("attachment %+v", a)
	}
	if _, err := n.Prepare(t.Context(), "prepared"); !errors.Is(err, vm.ErrExists) {
		t.Errorf("Prepare after Setup: %v", err)
	}
}

func testPreparedUnused(t *testing.T, n network.Network, env Env) {
	closeEndpoint(prepare(t, n, "unused"))
	n = env.Open(t)
	if _, err := n.Open(t.Context(), "unused"); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("Open of what is only prepared: %v", err)
	}
	teardown(t, n, "unused")
	teardown(t, n, "unused")
	if e, err := n.Prepare(t.Context(), ""); !errors.Is(err, vm.ErrInvalid) {
		t.Errorf("Prepare without an id: %v, %v", e, err)
	}
}

func prepare(t *testing.T, n network.Network, id string) vm.Endpoint {
	t.Helper()
	e, err := n.Prepare(t.Context(), id)
	if err != nil {
		t.Fatalf("Prepare %s: %v", id, err)
	}
	return e
}

func closeEndpoint(e vm.Endpoint) {
	if tap, ok := e.(vm.TapEndpoint); ok {
		tap.File.Close()
	}
}

func testTeardownUnknown(t *testing.T, n network.Network, _ Env) { teardown(t, n, "never-was") }

func testOpenUnknown(t *testing.T, n network.Network, _ Env) {
	if _, err := n.Open(t.Context(), "never-was"); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("Open of an unknown sandbox: %v", err)
	}
}

func testBadID(t *testing.T, n network.Network, _ Env) {
	if a, err := n.Setup(t.Context(), network.Request{}); !errors.Is(err, vm.ErrInvalid) {
		t.Errorf("Setup without an id: %+v, %v", a, err)
	}
}

func testParallel(t *testing.T, n network.Network, _ Env) {
	const count = 20
	attachments := make([]*network.Attachment, count)
	var wg sync.WaitGroup
	for k := range count {
		wg.Go(func() {
			a, err := n.Setup(t.Context(), Request(fmt.Sprintf("par-%d", k)))
			if err != nil {
				t.Errorf("Setup %d: %v", k, err)
				return
			}
			attachments[k] = a
		})
	}
	wg.Wait()
	seen := map[netip.Addr]bool{}
	for _, a := range attachments {
		if a == nil {
			continue
		}
		for _, ip := range a.IPs() {
			if seen[ip] {
				t.Errorf("address %s was given twice", ip)
			}
			seen[ip] = true
		}
		CloseEndpoints(a)
	}
	for k := range count {
		wg.Go(func() { teardown(t, n, fmt.Sprintf("par-%d", k)) })
	}
	wg.Wait()
}

func testCancelled(t *testing.T, n network.Network, _ Env) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Setup(ctx, Request("cancelled")); err == nil {
		t.Error("Setup succeeded with a cancelled context")
	}
}

func testStatus(t *testing.T, n network.Network, _ Env) {
	if err := n.Status(); err != nil {
		t.Errorf("Status of a working network: %v", err)
	}
}
