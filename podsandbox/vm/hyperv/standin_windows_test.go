//go:build wine

package hyperv_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// standIn calls the service that stands in for Hyper-V (e2e/windows/hcs) for what no real one does.
func standIn(t testing.TB, function string, args ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", os.Getenv("PADDOCK_STANDIN"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := strings.Join(append([]string{"", function}, args...), "\x00") + "\x00"
	if _, err := c.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(request))), request...)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, binary.LittleEndian.Uint32(head[4:]))
	if _, err := io.ReadFull(c, text); err != nil {
		t.Fatal(err)
	}
	if code := binary.LittleEndian.Uint32(head); code != 0 {
		t.Fatalf("%s%q: 0x%08x %s", function, args, code, text)
	}
	return string(text)
}

// needStandIn skips a test where there is no stand-in; e2e/windows runs it with one.
func needStandIn(t testing.TB) {
	t.Helper()
	if os.Getenv("PADDOCK_STANDIN") == "" {
		t.Skip("PADDOCK_STANDIN names no stand-in of the Host Compute Service")
	}
}

// left is what the stand-in still has.
func left(t testing.TB) []string {
	t.Helper()
	var all []string
	if err := json.Unmarshal([]byte(standIn(t, "TestLeft")), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func failCall(t testing.TB, function string, skip, count int, code uint32) {
	t.Helper()
	standIn(t, "TestFail", function, fmt.Sprint(skip), fmt.Sprint(count), fmt.Sprintf("0x%x", code))
}
