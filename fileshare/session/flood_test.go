//go:build linux

package session

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/sharechange"
)

// TestForgetFlood forgets what the client does not know, more than it knows, what is
// in use, and the root; then everything still works, and nothing is left.
func TestForgetFlood(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/f", []byte("data"), 0o644))
	c, b := serve(t, dir, false, 20)
	node, errno := c.lookup(1, "f")
	if errno != 0 {
		t.Fatal(errno)
	}
	errno, body := c.do(opOpen, node, words(uint32(unix.O_RDONLY), uint32(0))...)
	if errno != 0 {
		t.Fatal(errno)
	}
	fh := binary.NativeEndian.Uint64(body)
	for i := range uint64(5000) {
		c.forget(i, 1)
		c.forget(node, ^uint64(0))
		c.forget(1, ^uint64(0))
		batch := words(uint32(3), uint32(0), node, ^uint64(0), uint64(1), ^uint64(0), i<<20, uint64(1))
		if _, err := c.conn.Write(request(opBatchForget, 0, 0, batch...)); err != nil {
			t.Fatal(err)
		}
	}
	// A count that the message does not hold.
	if _, err := c.conn.Write(request(opBatchForget, 0, 0, words(uint32(1<<31), uint32(0), node, uint64(1))...)); err != nil {
		t.Fatal(err)
	}
	if errno := c.getattr(node); errno != unix.ESTALE {
		t.Errorf("a node that was forgotten: %v, want ESTALE", errno)
	}
	errno, body = c.do(opRead, node, words(fh, uint64(0), uint32(100), uint32(0), uint64(0), uint32(0), uint32(0))...)
	if errno != 0 || string(body) != "data" {
		t.Errorf("read of what is open: %v, %q", errno, body)
	}
	again, errno := c.lookup(1, "f")
	if errno != 0 || c.getattr(again) != 0 {
		t.Errorf("looked up again: %v", errno)
	}
	if b.Known() > 3 || b.Used() > 5 {
		t.Errorf("%d inodes, %d descriptors", b.Known(), b.Used())
	}
}

// TestRelookup: the request that only our agent makes gives nothing that a client has not.
func TestRelookup(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/f", nil, 0o644))
	c, _ := serve(t, dir, false, 20)
	node, errno := c.lookup(1, "f")
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, unknown := range []uint64{0, node + 1, ^uint64(0)} {
		if errno, _ := c.do(sharechange.OpRelookup, unknown); errno != unix.ESTALE {
			t.Errorf("node %d: %v, want ESTALE", unknown, errno)
		}
	}
	errno, body := c.do(sharechange.OpRelookup, node)
	if errno != 0 || len(body) != 128 || binary.NativeEndian.Uint64(body) != node {
		t.Fatalf("%v, %d bytes", errno, len(body))
	}
	c.forget(node, 1)
	if errno := c.getattr(node); errno != 0 {
		t.Errorf("after one of two references: %v", errno)
	}
	c.forget(node, 1)
	if errno := c.getattr(node); errno != unix.ESTALE {
		t.Errorf("after both: %v, want ESTALE", errno)
	}
}

// TestInterruptFlood interrupts requests that are over, that never were, and lock waits.
func TestInterruptFlood(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/f", nil, 0o644))
	c, _ := serve(t, dir, false, 20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint64(3000) {
			if _, err := c.conn.Write(request(opInterrupt, i*2+1, 0, words(i*2)...)); err != nil {
				return
			}
			if _, err := c.conn.Write(request(opLookup, 1<<40|i*2, 1, words(fmt.Sprint("none", i))...)); err != nil {
				return
			}
		}
	}()
	for answered := 0; answered < 3000; {
		errno, _ := c.reply()
		switch errno {
		case unix.ENOENT, unix.EINTR:
			answered++
		case unix.EAGAIN: // of an interrupt: its request is not there (yet)
		default:
			t.Fatal(errno)
		}
	}
	<-done
}
