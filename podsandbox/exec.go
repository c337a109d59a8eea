package podsandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
)

// execOutputMax is how much of each stream ExecSync keeps.
const execOutputMax = 16 << 20

// drainTime is how long output is waited for after a process has ended: a child
// it left may keep its pipes open.
const drainTime = 5 * time.Second

// firstSizeTime is how long a terminal's first size is waited for: clients tell it once they are connected.
const firstSizeTime = 200 * time.Millisecond

// ExecSync runs a command to its end and returns its output. What is beyond the bound is dropped.
func (m *Manager) ExecSync(ctx context.Context, id string, cmd []string, timeout time.Duration) (stdout, stderr []byte, code int32, err error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: command did not end within %v", ErrTimeout, timeout))
		defer cancel()
	}
	var out, errs boundedBuffer
	code, err = m.Exec(ctx, id, cmd, Streams{Stdout: &out, Stderr: &errs})
	return out.take(), errs.take(), code, err
}

// boundedBuffer keeps the first execOutputMax bytes.
type boundedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p[:min(len(p), execOutputMax-b.buf.Len())])
	return len(p), nil
}

func (b *boundedBuffer) take() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}

// Exec runs a command with streams, until it ends or ctx does, and returns its exit code.
func (m *Manager) Exec(ctx context.Context, id string, cmd []string, streams Streams) (int32, error) {
	if len(cmd) == 0 {
		return 0, fmt.Errorf("%w: no command", ErrInvalid)
	}
	c, err := m.running(id)
	if err != nil {
		return 0, err
	}
	ctx, leave, err := c.sandbox.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	e := &execution{s: c.sandbox, container: c.id, id: newID()[:32], streams: streams}
	code, err := e.run(ctx, cmd)
	c.sandbox.afterCommand(ctx)
	if _, bounded := ctx.Deadline(); bounded && status.Code(err) == codes.DeadlineExceeded {
		<-ctx.Done() // the guest's clock was a little faster
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", c.id, err)
	}
	return code, nil
}

// execution is one Exec under way.
type execution struct {
	s             *sandbox
	container, id string
	streams       Streams
}

func (e *execution) run(ctx context.Context, cmd []string) (int32, error) {
	request := &guestapi.ExecRequest{ContainerId: e.container, ExecId: e.id, Terminal: e.streams.TTY, Stdin: e.streams.Stdin != nil}
	if e.s.os() == guest.Windows {
		request.Windows = &guestapi.WindowsProcess{Args: cmd}
	} else {
		process, err := json.Marshal(specs.Process{Args: cmd, Terminal: e.streams.TTY})
		if err != nil {
			return 0, err
		}
		request.Process = process
	}
	size := e.firstSize(ctx)
	request.Width, request.Height = uint32(size.Width), uint32(size.Height)
	ended := false
	defer func() { e.discard(ended) }()
	err := e.s.agent.once(ctx, func(conn *agentConn) error {
		_, err := conn.Exec(ctx, request)
		return fromAgent(err)
	})
	if err != nil {
		return 0, err
	}
	streamCtx, endStreams := context.WithCancel(ctx)
	defer endStreams()
	drained := e.copyOutput(streamCtx)
	if err := e.feedInput(streamCtx); err != nil {
		return 0, err
	}
	go e.s.resizes(streamCtx, e.container, e.id, e.streams.Resize)

	var exit *guestapi.Exit
	err = e.s.agent.retry(ctx, func(conn *agentConn) error {
		answer, err := conn.WaitProcess(ctx, &guestapi.WaitProcessRequest{ContainerId: e.container, ExecId: e.id})
		exit = answer.GetExit()
		return fromAgent(err)
	})
	if err != nil {
		return 0, err
	}
	ended = true
	select {
	case <-drained:
	case <-time.After(drainTime):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	return int32(exit.GetCode()), nil
}

// firstSize is the size with which a terminal begins, so that its program never sees
// another; zero if the client tells none.
func (e *execution) firstSize(ctx context.Context) TerminalSize {
	if !e.streams.TTY || e.streams.Resize == nil {
		return TerminalSize{}
	}
	select {
	case size := <-e.streams.Resize:
		return size
	case <-time.After(firstSizeTime):
	case <-ctx.Done():
	}
	return TerminalSize{}
}

// copyOutput copies the process's output to the client; the channel is closed at its end.
func (e *execution) copyOutput(ctx context.Context) <-chan struct{} {
	outputs := map[guestapi.Stdio]io.Writer{guestapi.Stdio_STDIO_STDOUT: e.streams.Stdout}
	if !e.streams.TTY {
		outputs[guestapi.Stdio_STDIO_STDERR] = e.streams.Stderr
	}
	var parts sync.WaitGroup
	for stdio, w := range outputs {
		if w == nil {
			w = io.Discard // unread output would block the process
		}
		out := &output{vm: e.s.vm, stream: guestapi.StdioStream{ContainerId: e.container, ExecId: e.id, Stdio: stdio}}
		out.deliver = func(b []byte) (uint64, error) {
			_, err := w.Write(b)
			return out.next, err
		}
		parts.Go(func() {
			if err := out.run(ctx); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).V(2).Info("Output of an exec ends early", "container", e.container, "err", err)
			}
		})
	}
	drained := make(chan struct{})
	go func() {
		parts.Wait()
		close(drained)
	}()
	return drained
}

func (e *execution) feedInput(ctx context.Context) error {
	if e.streams.Stdin == nil {
		return nil
	}
	stdin, err := openStream(ctx, e.s.vm, stdioHeader(e.container, e.id, guestapi.Stdio_STDIO_STDIN))
	if err != nil {
		return err
	}
	go feed(ctx, stdin, e.streams.Stdin, true)
	return nil
}

// discard kills the process if it still runs, and has the guest forget it.
func (e *execution) discard(ended bool) {
	if !e.s.vmRuns() {
		return
	}
	ctx, cancel := context.WithTimeout(e.s.live, undoTime)
	defer cancel()
	err := e.s.agent.retry(ctx, func(conn *agentConn) error {
		if !ended {
			_, err := conn.SignalProcess(ctx, &guestapi.SignalProcessRequest{ContainerId: e.container, ExecId: e.id, Signal: sigKill})
			if err = fromAgent(err); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		_, err := conn.WaitProcess(ctx, &guestapi.WaitProcessRequest{ContainerId: e.container, ExecId: e.id, Forget: true})
		return fromAgent(err)
	})
	if err != nil && !errors.Is(err, ErrNotFound) && e.s.vmRuns() && ctx.Err() == nil {
		klog.ErrorS(err, "Cannot discard an exec", "container", e.container)
	}
}
