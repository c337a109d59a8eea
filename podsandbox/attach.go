package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
)

// Attach connects streams to the container's main process until that ends or ctx does.
func (m *Manager) Attach(ctx context.Context, id string, streams Streams) error {
	c, err := m.running(id)
	if err != nil {
		return err
	}
	ctx, leave, err := c.sandbox.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a, ok := c.out.watch()
	if !ok {
		return nil
	}
	defer c.out.unwatch(a)
	cfg := c.status.Load().Config
	if streams.Stdin != nil && cfg.Stdin {
		stdin, err := openStream(ctx, c.sandbox.vm, stdioHeader(c.id, "", guestapi.Stdio_STDIO_STDIN))
		if err != nil {
			return fmt.Errorf("attach to container %s: %w", c.id, err)
		}
		go feed(ctx, stdin, streams.Stdin, cfg.StdinOnce)
	}
	go c.sandbox.resizes(ctx, c.id, "", streams.Resize)
	return a.copyOut(ctx, streams)
}

func stdioHeader(container, exec string, stdio guestapi.Stdio) *guestapi.StreamHeader {
	return &guestapi.StreamHeader{Kind: &guestapi.StreamHeader_Stdio{Stdio: &guestapi.StdioStream{
		ContainerId: container, ExecId: exec, Stdio: stdio,
	}}}
}

// feed copies a client's input to a process. At its end the process sees end of
// file if closeAtEnd, else its input stays open for a later client.
func feed(ctx context.Context, to net.Conn, from io.Reader, closeAtEnd bool) {
	stop := context.AfterFunc(ctx, func() { channel.Abort(to) })
	defer stop()
	_, err := io.Copy(to, from)
	half, ok := to.(channel.CloseWriter)
	if err != nil || !closeAtEnd || !ok || half.CloseWrite() != nil {
		channel.Abort(to)
		return
	}
	// The guest closes its half when the process has no use for input any more.
	io.Copy(io.Discard, to)
	to.Close()
}

// resizes passes terminal sizes on until there are no more.
func (s *sandbox) resizes(ctx context.Context, container, exec string, sizes <-chan TerminalSize) {
	if sizes == nil {
		return
	}
	for {
		select {
		case size, more := <-sizes:
			if !more {
				return
			}
			err := s.agent.once(ctx, func(conn *agentConn) error {
				_, err := conn.ResizeTerminal(ctx, &guestapi.ResizeTerminalRequest{
					ContainerId: container, ExecId: exec, Width: uint32(size.Width), Height: uint32(size.Height),
				})
				return fromAgent(err)
			})
			if err != nil && ctx.Err() == nil && !errors.Is(err, ErrNotFound) {
				klog.FromContext(ctx).Error(err, "Cannot resize a terminal", "container", container)
			}
		case <-ctx.Done():
			return
		}
	}
}

// running finds a container that runs.
func (m *Manager) running(id string) (*container, error) {
	c, err := m.container(id)
	if err != nil {
		return nil, err
	}
	if c.state() != ContainerRunning {
		return nil, stateError(c, "it must be running")
	}
	return c, nil
}

func stateError(c *container, why string) error {
	names := [...]string{"unknown", "created", "running", "exited"}
	return fmt.Errorf("%w: container %s is %s: %s", ErrState, c.id, names[c.state()], why)
}
