package channel

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in string
		ok bool
	}{
		{"mux:/run/paddock/vm/a/share.sock", runtime.GOOS != "windows"},
		{string(VsockAddress(3)), true},
		{string(HvsockAddress("0d1f7b9e-97a4-4b3a-8d4e-d8a2a4a1c111")), true},
		{"", false},
		{"mux:", false},
		{"mux:relative", false},
		{"mux:/nul\x00", false},
		{"mux:/" + strings.Repeat("x", 107), false},
		{"vsock:", false},
		{"vsock:2", false},
		{"vsock:4294967295", false},
		{"vsock:4294967296", false},
		{"vsock:+3", false},
		{"vsock:03", false},
		{"hvsock:00000000-0000-0000-0000-000000000000", false},
		{"hvsock:{0d1f7b9e-97a4-4b3a-8d4e-d8a2a4a1c111}", false},
		{"tcp:127.0.0.1:80", false},
	}
	for _, tt := range tests {
		a, err := Parse(tt.in)
		if (err == nil) != tt.ok {
			t.Errorf("Parse(%q): %v", tt.in, err)
		}
		if err == nil && string(a) != tt.in {
			t.Errorf("Parse(%q) changed it to %q", tt.in, a)
		}
	}
}

func TestOpenUnsupported(t *testing.T) {
	_, err := Open(context.Background(), HvsockAddress("0d1f7b9e-97a4-4b3a-8d4e-d8a2a4a1c111"))
	if err != nil && !errors.Is(err, ErrUnsupported) {
		t.Fatalf("got %v, want ErrUnsupported", err)
	}
}
