//go:build wine

package hns_test

import (
	"fmt"
	"testing"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/networktest"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/standin"
)

// codes are access denied, and a service that is not there.
var codes = []uint32{0x80070005, 0x800706BA}

func failing(t *testing.T, function string, code uint32) {
	t.Helper()
	if _, err := standin.Call("TestFail", function, "0", "-1", fmt.Sprintf("%#x", code)); err != nil {
		t.Fatal(err)
	}
}

func heal(t *testing.T) {
	t.Helper()
	if _, err := standin.Call("TestHeal"); err != nil {
		t.Fatal(err)
	}
}

// TestFailuresOfSetup: each call of ours and the plugins' that a set-up makes fails,
// before its work and after it. What the set-up cannot undo for that, the tear-down
// does when the service is well again.
func TestFailuresOfSetup(t *testing.T) {
	n := open(t, testConfig(t))
	for _, function := range []string{
		"HcnCreateNamespace", "HcnCreateNamespace:result", "HcnQueryNamespaceProperties", "HcnOpenNamespace", "HcnModifyNamespace", "HcnModifyNamespace:result",
		"HcnEnumerateNetworks", "HcnOpenNetwork", "HcnCreateEndpoint", "HcnCreateEndpoint:result", "HcnOpenEndpoint", "HcnQueryEndpointProperties",
	} {
		for _, code := range codes {
			failing(t, function, code)
			if _, err := n.Setup(t.Context(), networktest.Request("failing")); err == nil {
				t.Errorf("%s fails with %#x, and the set-up does not", function, code)
			}
			heal(t)
			tornDown(t, n, fmt.Sprintf("%s failed with %#x", function, code))
		}
	}
	if _, err := n.Setup(t.Context(), networktest.Request("failing")); err != nil {
		t.Errorf("after the failures: %v", err)
	}
	tornDown(t, n, "after the failures")
}

// TestFailuresOfTeardown: what a failure leaves, the next tear-down removes.
func TestFailuresOfTeardown(t *testing.T) {
	n := open(t, testConfig(t))
	for _, function := range []string{"HcnDeleteEndpoint", "HcnDeleteEndpoint:result", "HcnDeleteNamespace", "HcnDeleteNamespace:result", "HcnOpenNamespace"} {
		for _, code := range codes {
			if _, err := n.Setup(t.Context(), networktest.Request("failing")); err != nil {
				t.Fatal(err)
			}
			failing(t, function, code)
			if err := n.Teardown(t.Context(), "failing"); err == nil {
				t.Errorf("%s fails with %#x, and the tear-down does not", function, code)
			}
			heal(t)
			tornDown(t, n, fmt.Sprintf("%s failed with %#x", function, code))
		}
	}
}

// tornDown tears down, and looks whether that leaves anything.
func tornDown(t *testing.T, n network.Network, when string) {
	t.Helper()
	if err := n.Teardown(t.Context(), "failing"); err != nil {
		t.Errorf("%s; tear-down: %v", when, err)
	}
	if all := left(t); len(all) > 0 {
		t.Errorf("%s; left: %q", when, all)
	}
	if ids, err := n.List(t.Context()); err != nil || len(ids) > 0 {
		t.Errorf("%s; records: %q, %v", when, ids, err)
	}
}
