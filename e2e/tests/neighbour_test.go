package tests

import (
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// neighbour is another machine on the node's network: a network namespace at
// the other end of a wire, which knows no way but to the node's own address.
type neighbour struct {
	node, own string // addresses of both ends
	calls     chan func()
}

// newNeighbour wires one to the node.
func newNeighbour(t *testing.T) *neighbour {
	t.Helper()
	n := &neighbour{node: "203.0.113.1", own: "203.0.113.2", calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never let go: the thread ends, and with it the namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = ip("link set lo up")
		}
		ready <- err
		for call := range n.calls {
			call()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ip("link del pdkwire0")
		close(n.calls)
	})
	var tid int
	n.do(func() { tid = unix.Gettid() })
	for _, args := range []string{
		"link add pdkwire0 type veth peer name pdkwire1",
		fmt.Sprintf("link set pdkwire1 netns %d", tid),
		"addr add 203.0.113.1/24 dev pdkwire0",
		"link set pdkwire0 up",
	} {
		if err := ip(args); err != nil {
			t.Fatal(err)
		}
	}
	n.do(func() {
		for _, args := range []string{"addr add 203.0.113.2/24 dev pdkwire1", "link set pdkwire1 up"} {
			if err := ip(args); err != nil {
				t.Error(err)
			}
		}
	})
	return n
}

// do runs f in the neighbour's namespace. Sockets made there stay there.
func (n *neighbour) do(f func()) {
	done := make(chan struct{})
	n.calls <- func() { defer close(done); f() }
	<-done
}

func ip(args string) error {
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}

// dial connects to a port of the node as the neighbour, within a step's time.
func (n *neighbour) dial(t *testing.T, port int) net.Conn {
	t.Helper()
	var conn net.Conn
	eventually(t, fmt.Sprintf("the neighbour reaches port %d of the node", port), func() bool {
		n.do(func() {
			conn, _ = net.DialTimeout("tcp", net.JoinHostPort(n.node, strconv.Itoa(port)), time.Second)
		})
		return conn != nil
	})
	return conn
}

// callers listens and tells the address of each who connects.
func callers(t *testing.T, addr string) (port int, from <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	seen := make(chan string, 16)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
			seen <- host
			_, _ = conn.Write([]byte("well met\n"))
			conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, seen
}
