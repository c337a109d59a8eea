package cri

import (
	"context"
	"fmt"
	"io"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"github.com/paddock-run/paddock/podsandbox"
)

// streamRuntime serves streams out of a podsandbox.Runtime.
type streamRuntime struct{ runtime podsandbox.Runtime }

// Exec runs a command with streams. A code other than 0 is an ExitError, as
// the streaming server looks for: not wrapped.
func (s *streamRuntime) Exec(ctx context.Context, containerID string, cmd []string, stdin io.Reader, stdout, stderr io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	code, err := s.runtime.Exec(ctx, containerID, cmd, streams(ctx, stdin, stdout, stderr, tty, resize))
	if err != nil {
		return fmt.Errorf("exec in container %s: %w", containerID, err)
	}
	if code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: int(code)}
	}
	return nil
}

// Attach connects streams to a container's main process.
func (s *streamRuntime) Attach(ctx context.Context, containerID string, stdin io.Reader, stdout, stderr io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.runtime.Attach(ctx, containerID, streams(ctx, stdin, stdout, stderr, tty, resize)); err != nil {
		return fmt.Errorf("attach to container %s: %w", containerID, err)
	}
	return nil
}

// PortForward copies between a stream and a port of the pod's localhost.
func (s *streamRuntime) PortForward(ctx context.Context, sandboxID string, port int32, stream io.ReadWriteCloser) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("%d is not a port", port)
	}
	if err := s.runtime.PortForward(ctx, sandboxID, uint16(port), stream); err != nil {
		return fmt.Errorf("port-forward to port %d of pod sandbox %s: %w", port, sandboxID, err)
	}
	return nil
}

// streams gathers the ends of a stream. Those that the client did not ask for
// are nil, as interfaces too. With a terminal there is no stderr.
func streams(ctx context.Context, stdin io.Reader, stdout, stderr io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) podsandbox.Streams {
	s := podsandbox.Streams{Stdin: stdin, TTY: tty, Resize: sizes(ctx, resize)}
	if stdout != nil {
		s.Stdout = stdout
	}
	if stderr != nil && !tty {
		s.Stderr = stderr
	}
	return s
}

// sizes translates terminal sizes until no more come or ctx ends, and leaves out empty ones.
func sizes(ctx context.Context, in <-chan remotecommand.TerminalSize) <-chan podsandbox.TerminalSize {
	if in == nil {
		return nil
	}
	out := make(chan podsandbox.TerminalSize)
	go func() {
		defer close(out)
		for {
			select {
			case size, ok := <-in:
				if !ok {
					return
				}
				if size.Width == 0 || size.Height == 0 {
					continue
				}
				select {
				case out <- podsandbox.TerminalSize{Width: size.Width, Height: size.Height}:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
