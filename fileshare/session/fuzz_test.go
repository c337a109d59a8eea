//go:build linux

package session

import (
	"encoding/binary"
	"io"
	"os"
	"testing"
)

// FuzzRequest sends one arbitrary request after a few honest ones: the server
// must live, answer at most once and keep to the share.
func FuzzRequest(f *testing.F) {
	for op := uint32(0); op < 60; op++ {
		f.Add(op, uint64(1), words("name", "other"))
		f.Add(op, uint64(2), make([]byte, 128))
		f.Add(op, uint64(1), []byte{})
	}
	f.Add(uint32(opBatchForget), uint64(0), words(uint32(1<<31), uint32(0), uint64(1), ^uint64(0)))
	f.Add(uint32(opForget), uint64(1), words(^uint64(0)))
	f.Add(uint32(4096), ^uint64(0), []byte("x"))
	f.Fuzz(func(t *testing.T, op uint32, node uint64, body []byte) {
		if len(body) > 1<<16 || op == opSetlkw {
			t.Skip()
		}
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/f", []byte("data"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _ := serve(t, dir, false, 100)
		if _, errno := c.lookup(1, "f"); errno != 0 {
			t.Fatal(errno)
		}
		go c.conn.Write(append(request(op, 1000, node, body...), request(opLookup, 2000, 1, words("f")...)...))
		for {
			var head [16]byte
			if _, err := io.ReadFull(c.in, head[:]); err != nil {
				t.Fatal(err)
			}
			if _, err := c.in.Discard(int(binary.NativeEndian.Uint32(head[:])) - 16); err != nil {
				t.Fatal(err)
			}
			if binary.NativeEndian.Uint64(head[8:]) == 2000 {
				return
			}
		}
	})
}
