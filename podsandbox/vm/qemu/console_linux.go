package qemu

import (
	"net"
	"os"
	"path/filepath"
	"time"
)

// consoleLimit bounds the guest's console log: it keeps the last one to two
// halves of it.
const consoleLimit = 256 << 10

// console copies a guest's serial console to a bounded file while this process
// has the VM open; what the guest prints meanwhile otherwise is dropped.
type console struct {
	conn net.Conn
	done chan struct{}
}

func drainConsole(dir string) *console {
	c := &console{done: make(chan struct{})}
	conn, err := net.Dial("unix", filepath.Join(dir, consoleSocket))
	if err != nil {
		close(c.done) // the VM just ended: there is nothing to read
		return c
	}
	c.conn = conn
	go c.copy(filepath.Join(dir, consoleFile))
	return c
}

func (c *console) copy(file string) {
	defer close(c.done)
	out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	defer func() { out.Close() }()
	var size int64
	if st, err := out.Stat(); err == nil {
		size = st.Size()
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.conn.Read(buf)
		if _, werr := out.Write(buf[:n]); werr != nil || err != nil {
			return
		}
		if size += int64(n); size > consoleLimit/2 {
			_ = os.Rename(file, file+".1")
			next, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
			if err != nil {
				return
			}
			out.Close()
			out, size = next, 0
		}
	}
}

// drain waits for the last words of a QEMU that has ended.
func (c *console) drain() {
	select {
	case <-c.done:
	case <-time.After(time.Second):
	}
}

func (c *console) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	<-c.done
}
