//go:build linux

package agent

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// consoleTimeout bounds the wait for the terminal of a process that the runtime says it started.
const consoleTimeout = 10 * time.Second

// console is the socket on which the runtime hands over a terminal's master.
type console struct{ listener *net.UnixListener }

func listenConsole(path string) (*console, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for the terminal: %w", err)
	}
	return &console{l}, nil
}

func (c *console) close() { c.listener.Close() }

// receive takes the terminal, which the runtime has sent before it ended.
func (c *console) receive(ctx context.Context) (*os.File, error) {
	deadline := time.Now().Add(consoleTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c.listener.SetDeadline(deadline)
	conn, err := c.listener.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("wait for the terminal: %w", err)
	}
	defer conn.Close()
	conn.SetDeadline(deadline)
	data, rights := make([]byte, 512), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(data, rights)
	if err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("receive the terminal: %d control messages (%w)", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("receive the terminal: %d descriptors (%w)", len(fds), err)
	}
	unix.CloseOnExec(fds[0])
	// Non-blocking, so that Close ends a Read under way.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), "terminal"), nil
}
