package tap

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/networktest"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

func TestHostRules(t *testing.T) {
	cfg := &Config{StateDir: "/s", HostRange4: netip.MustParsePrefix("169.254.64.0/18"), HostRange6: netip.MustParsePrefix("fd00::/112")}
	got := hostRules(cfg, []*hostRecord{
		{Link: cfg.hostLink("a", 0), Ports: []network.HostPort{{Port: 80}, {Port: 53, Protocol: network.UDP}}},
		{Link: cfg.hostLink("b", 65), Ports: []network.HostPort{{Port: 81}, {Port: 82, Loopback: true}}},
	})
	for _, want := range []string{
		"meta nfproto ipv4 dnat ip to tcp dport map { 80 : 169.254.64.2, 81 : 169.254.65.6 }",
		"meta nfproto ipv6 dnat ip6 to tcp dport map { 80 : fd00::2, 81 : fd00::106 }",
		"ip daddr 127.0.0.0/8 dnat ip to tcp dport map { 82 : 169.254.65.6 }",
		"meta nfproto ipv4 dnat ip to udp dport map { 53 : 169.254.64.2 }",
		"ip daddr { 169.254.64.1, 169.254.65.5 } meta l4proto { tcp, udp } dnat ip to 127.0.0.1",
		"ip saddr 169.254.64.0/18 masquerade",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no rule %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "82 : fd00") {
		t.Error("a port on localhost is led there by IPv6")
	}
	if none := hostRules(cfg, nil); strings.Count(none, "\n") != 2 || !strings.Contains(none, "delete table inet "+cfg.hostTable()) {
		t.Errorf("without sandboxes: %s", none)
	}
}

func TestHostLinks(t *testing.T) {
	cfg := &Config{HostRange4: netip.MustParsePrefix("169.254.64.0/26"), HostRange6: netip.MustParsePrefix("fd00::/112")}
	if n := cfg.hostLinks(); n != 16 {
		t.Errorf("%d links in a /26", n)
	}
	for index := range cfg.hostLinks() {
		l := cfg.hostLink("x", index)
		for _, p := range []netip.Prefix{l.Node4, l.Guest4} {
			if !cfg.HostRange4.Contains(p.Addr()) || p.Masked().Contains(cfg.hostLink("x", index+1).Node4.Addr()) {
				t.Errorf("link %d has %v", index, p)
			}
		}
	}
}

func TestHostModeRefused(t *testing.T) {
	h := newTestHost(t, 7)
	h.cfg.HostRange4 = netip.Prefix{}
	before := h.snapshot(t)
	_, err := h.open(t).Setup(t.Context(), networktest.HostRequest("host"))
	if err == nil || !strings.Contains(err.Error(), "hostNetwork.mode") {
		t.Errorf("Setup without host mode: %v", err)
	}
	h.checkNothingLeft(t, before, "refused")
}

// Host mode needs no pod network: what sets up a pod network may itself run in it.
func TestHostWithoutCNI(t *testing.T) {
	h := newTestHost(t, 8)
	if err := os.RemoveAll(h.cfg.ConfDir); err != nil {
		t.Fatal(err)
	}
	n := h.open(t)
	a, err := n.Setup(t.Context(), networktest.HostRequest("host"))
	if err != nil {
		t.Fatal(err)
	}
	networktest.CloseEndpoints(a)
	teardownTest(t, n, "host")
}

func (h *testHost) checkNothingLeft(t *testing.T, before []string, when string) {
	t.Helper()
	for _, line := range h.snapshot(t) {
		if !contains(before, line) {
			t.Errorf("%s: left behind: %s", when, line)
		}
	}
}

// A process that dies between any two steps of a set-up in host mode leaves what the next one tears down.
func TestTeardownOfHalfMadeHost(t *testing.T) {
	h := newTestHost(t, 9)
	n := h.open(t)
	link := h.cfg.hostLink("half", 0)
	r := &record{Request: networktest.HostRequest("half"), Host: &hostRecord{Link: link, Ports: []network.HostPort{{Port: 31996}}}}
	netns := h.cfg.netnsPath("half")
	steps := []func() error{
		func() error { return h.cfg.save(r) },
		func() error { return makeNetNS(netns) },
		func() error { return makeHostLink(netns, link) },
		func() error { return n.applyHost(t.Context(), "") },
		func() error { return os.Truncate(h.cfg.recordPath("half"), 0) }, // a loss of power
	}
	before := h.snapshot(t)
	for died := 1; died <= len(steps); died++ {
		for _, step := range steps[:died] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.open(t).Teardown(context.Background(), "half"); err != nil {
			t.Errorf("died after step %d: %v", died, err)
		}
		h.checkNothingLeft(t, before, fmt.Sprintf("died after step %d", died))
	}
}

// nodePort is a UDP port that is free on the node.
func nodePort(t *testing.T) network.HostPort {
	t.Helper()
	c, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return network.HostPort{Protocol: network.UDP, Port: uint16(c.LocalAddr().(*net.UDPAddr).Port)}
}

// arrives sends datagrams to a port of the node's localhost and tells whether the guest gets one.
func arrives(t *testing.T, guest *responder, p network.HostPort) bool {
	t.Helper()
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", p.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 10 {
		conn.Write([]byte("hello")) //nolint:errcheck // refused while nothing is there
		select {
		case port := <-guest.udp:
			if port == p.Port {
				return true
			}
		case <-time.After(100 * time.Millisecond):
		}
	}
	return false
}

// Exposed ports lead to the guest, also for a process after a restart; what the node has stays the node's.
func TestHostPackets(t *testing.T) {
	h := newTestHost(t, 10)
	n := h.open(t)
	a, err := n.Setup(t.Context(), networktest.HostRequest("host"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { teardownTest(t, n, "host") }()
	tap := a.Interfaces[0].Endpoint.(vm.TapEndpoint)
	defer tap.File.Close()
	guest := &responder{mac: a.Interfaces[0].MAC, udp: make(chan uint16, 64)}
	go guest.serve(tap)

	port := nodePort(t)
	if arrives(t, guest, port) {
		t.Error("a port that is not exposed leads to the guest")
	}
	expose := func(want int) {
		t.Helper()
		refused, err := n.Expose(t.Context(), "host", []network.HostPort{port})
		if err != nil || len(refused) != want {
			t.Errorf("refused %v, %v; want %d", refused, err, want)
		}
	}
	expose(0)
	if !arrives(t, guest, port) {
		t.Error("an exposed port does not lead to the guest")
	}
	n = h.open(t)
	if !arrives(t, guest, port) {
		t.Error("an exposed port does not lead to the guest after a restart")
	}
	n.Close() // no daemon: a process of the node takes the port
	own, err := net.ListenPacket("udp", fmt.Sprintf(":%d", port.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	n = h.open(t)
	if arrives(t, guest, port) {
		t.Error("a port that the node took leads to the guest")
	}
	expose(1)
}
