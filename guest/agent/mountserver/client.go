//go:build linux

package mountserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/agent/relay"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
)

// Client is the agent's side of the process.
type Client struct {
	// start starts the process with its control socket. One that has ended is started again.
	start func(control *os.File) error

	mu      sync.Mutex
	control int    // guarded by mu; -1 while there is no process
	serial  uint64 // guarded by mu
}

// NewClient makes a client without a process. start runs Main in a new process,
// with control at descriptor Control.
func NewClient(start func(control *os.File) error) *Client { return &Client{start: start, control: -1} }

// Serve has a mount served on a stream, the answer to whose header is still to
// come, until the host ends the stream or it breaks. An error says that the process
// could not be asked; the stream is as it was then.
func (c *Client) Serve(conn net.Conn, mount *api.MountStream) error {
	ours, theirs, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return err
	}
	defer ours.Close()
	serial, err := c.order(opServe, mount, theirs)
	theirs.Close()
	if err != nil {
		return err
	}
	local, err := net.FileConn(ours)
	if err != nil {
		return err
	}
	err = relay.Both(local, conn, func() {
		channel.Abort(conn)
		local.Close()
	})
	local.Close()
	conn.Close()
	if err == nil { // else the host comes back
		c.drop(mount, serial)
	}
	return nil
}

// order sends an order with its socket, to a new process if need be.
func (c *Client) order(op op, mount *api.MountStream, socket *os.File) (serial uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	msg, err := order{op, c.serial, mount}.encode()
	if err != nil {
		return 0, err
	}
	rights := unix.UnixRights(int(socket.Fd()))
	for range 2 {
		if c.control < 0 {
			if err := c.connect(); err != nil {
				return 0, err
			}
		}
		if err = sendmsg(c.control, msg, rights); err == nil {
			return c.serial, nil
		}
		unix.Close(c.control)
		c.control = -1
	}
	return 0, fmt.Errorf("ask the server of mounts: %w", err)
}

func (c *Client) drop(mount *api.MountStream, serial uint64) {
	msg, err := order{opDrop, serial, mount}.encode()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.control >= 0 {
		sendmsg(c.control, msg, nil) // fails with the process, which has forgotten it then
	}
}

// connect starts a process. mu is held.
func (c *Client) connect() error {
	ours, theirs, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return err
	}
	defer ours.Close()
	defer theirs.Close()
	if err := c.start(theirs); err != nil {
		return fmt.Errorf("start the server of mounts: %w", err)
	}
	c.control, err = unix.FcntlInt(ours.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return err
}

func sendmsg(fd int, msg, rights []byte) error {
	for {
		if err := unix.Sendmsg(fd, msg, rights, nil, unix.MSG_NOSIGNAL); err != unix.EINTR {
			return err
		}
	}
}

func socketPair(kind int) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, errors.Join(errors.New("make a pair of sockets"), err)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket"), nil
}
