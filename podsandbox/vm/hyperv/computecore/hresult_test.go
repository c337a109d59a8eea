package computecore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestResultsInTheirForms(t *testing.T) {
	for _, c := range []struct {
		a, b HRESULT
		same bool
	}{
		{0xC037010E, SystemNotFound, true},
		{0x8037010E, SystemNotFound, true},
		{0x80370110, SystemStopped, true},
		{0xC0370118, OperationTimeout, true},
		{0x490, ElementNotFound, true},
		{0x80070490, ElementNotFound, true},
		{5, AccessDenied, true},
		{0, 0x80070000, false},
		{SystemNotFound, SystemStopped, false},
		{0x8007010E, SystemNotFound, false},
	} {
		err := fmt.Errorf("wrapped: %w", &Error{Call: "X", Result: c.a})
		if got := errors.Is(err, c.b); got != c.same {
			t.Errorf("%v is %v: %t", c.a, c.b, got)
		}
	}
}

func TestErrorsSayWhy(t *testing.T) {
	err := newError("HcsStartComputeSystem", 0x80070005, `{"Error":-2147024891,"ErrorMessage":"Access is denied. ","ErrorEvents":[{"Message":"'x' failed to open disk.vhd."}]}`)
	for _, want := range []string{"HcsStartComputeSystem", "access denied", "0x80070005", "Access is denied.", "disk.vhd"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	for _, document := range []string{"", "{", `{"Error":0}`, `[]`, strings.Repeat("x", 1<<20)} {
		if got := newError("X", 1, document).Error(); got != "X: HRESULT 0x00000001" {
			t.Errorf("%.20q: %q", document, got)
		}
	}
}
