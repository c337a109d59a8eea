//go:build wine

package hyperv_test

import (
	"fmt"
	"testing"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/standin"
)

func standIn(t testing.TB, function string, args ...string) string {
	t.Helper()
	text, err := standin.Call(function, args...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// needStandIn skips a test where there is no stand-in of the Host Compute Service.
func needStandIn(t testing.TB) {
	t.Helper()
	if !standin.Available() {
		t.Skip("PADDOCK_STANDIN names no stand-in of the Host Compute Service")
	}
}

// left is what the stand-in still has.
func left(t testing.TB) []string {
	t.Helper()
	all, err := standin.Left()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func failCall(t testing.TB, function string, skip, count int, code uint32) {
	t.Helper()
	standIn(t, "TestFail", function, fmt.Sprint(skip), fmt.Sprint(count), fmt.Sprintf("0x%x", code))
}
