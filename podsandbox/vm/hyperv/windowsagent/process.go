package windowsagent

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/stream"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
)

// Exit codes that no process gave.
const (
	codeKilled  = 137 // its container has ended, and the guest told nothing of the process
	codeUnknown = 255 // the guest does not know it any more
)

// exitGrace is how long the end of a process may be told after that of its container.
const exitGrace = 10 * time.Second

// process is a container's first or a further one.
type process struct {
	stdout *stream.OutputBuffer
	stderr *stream.OutputBuffer // nil with a terminal
	stdin  *input

	ended   chan struct{}
	dropped chan struct{} // closed by discard
	drop    sync.Once

	mu   sync.Mutex
	proc *bridge.Process // nil until started
	exit *exit           // set before ended is closed
	lost bool            // its output, with the agent that had it
}

func newProcess(c command) *process {
	p := &process{ended: make(chan struct{}), dropped: make(chan struct{}), stdin: &input{}, stdout: stream.NewOutputBuffer(int(c.Window))}
	if !c.Terminal {
		p.stderr = stream.NewOutputBuffer(int(c.Window))
	}
	return p
}

// parameters say to the guest what to run.
func (c command) parameters() bridge.ProcessParameters {
	return bridge.ProcessParameters{
		CommandLine: c.Line, User: c.User, WorkingDirectory: c.Dir, Environment: c.Env, EmulateConsole: c.Terminal,
		CreateStdInPipe: c.Stdin, CreateStdOutPipe: true, CreateStdErrPipe: !c.Terminal,
	}
}

// attach gives a process that has just been started its streams.
func (p *process) attach(proc *bridge.Process) {
	p.mu.Lock()
	p.proc = proc
	p.mu.Unlock()
	if w := proc.Stdin(); w != nil {
		p.stdin.set(w)
	}
	var copies sync.WaitGroup
	copies.Go(func() { copyOut(p.stdout, proc.Stdout()) })
	if p.stderr != nil {
		copies.Go(func() { copyOut(p.stderr, proc.Stderr()) })
	}
	go func() { // what the process no longer uses is not kept open for it
		select {
		case <-p.ended:
			copies.Wait()
		case <-p.dropped:
		}
		proc.Close()
	}()
}

// copyOut moves output into its buffer; a broken stream is its end.
func copyOut(to *stream.OutputBuffer, from io.Reader) {
	defer to.Close()
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 32<<10))
}

// follow waits for the process's end; onEnd, if set, runs before anyone is told. A
// connection that breaks ends it: the next follows anew.
func (p *process) follow(handle *bridge.Container, proc *bridge.Process, onEnd func(exit)) {
	p.mu.Lock()
	p.proc = proc
	p.mu.Unlock()
	go func() {
		select {
		case <-proc.Exited():
		case <-handle.Exited():
			select {
			case <-proc.Exited():
			case <-time.After(exitGrace):
			}
		}
		e, known := ending(handle, proc)
		if !known {
			return
		}
		if onEnd != nil {
			onEnd(e)
		}
		p.finish(e)
	}()
}

// ending is how a process has ended; false if only the connection has.
func ending(handle *bridge.Container, proc *bridge.Process) (exit, bool) {
	e := exit{Code: codeKilled, Ended: time.Now().UnixNano()}
	select {
	case <-proc.Exited():
	default:
		_, err := handle.Exit()
		return e, err == nil
	}
	code, err := proc.Wait(context.Background())
	switch {
	case err == nil:
		e.Code = code
	case errors.Is(err, bridge.ErrLost), errors.Is(err, bridge.ErrProtocol), errors.Is(err, net.ErrClosed):
		return e, false
	default:
		e.Code = codeUnknown
	}
	return e, true
}

func (p *process) finish(e exit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit == nil {
		p.exit = &e
		close(p.ended)
	}
}

// loseOutput is for a process whose streams an earlier agent had.
func (p *process) loseOutput() {
	p.mu.Lock()
	p.lost = true
	p.mu.Unlock()
	p.stdout.Close()
	if p.stderr != nil {
		p.stderr.Close()
	}
}

func (p *process) live() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proc != nil && p.exit == nil
}

func (p *process) pid() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return 0
	}
	return p.proc.PID()
}

// running is the process to act upon.
func (p *process) running() (*bridge.Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.exit != nil:
		return nil, notFound("the process has ended")
	case p.proc == nil:
		return nil, wrongState("the process has not been started")
	}
	return p.proc, nil
}

// discard lets go of the process's stdio and whatever of it was not fetched.
func (p *process) discard() {
	p.stdin.close()
	p.stdout.Discard()
	if p.stderr != nil {
		p.stderr.Discard()
	}
	p.drop.Do(func() { close(p.dropped) })
}

// serve answers a connection to one of the process's streams, and closes it.
func (p *process) serve(conn *duplex, s *api.StdioStream) {
	p.mu.Lock()
	lost := p.lost
	p.mu.Unlock()
	switch {
	case s.Stdio == api.Stdio_STDIO_STDIN:
		p.stdin.serve(conn)
	case s.Stdio == api.Stdio_STDIO_STDERR && p.stderr == nil:
		refuse(conn, status.Error(codes.NotFound, "a process with a terminal has no error stream"))
	case lost: // as if it had ended at what the host has
		defer conn.Close()
		if stream.WriteReply(conn, &api.StreamReply{Offset: s.Offset}) == nil && conn.CloseWrite() == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	case s.Stdio == api.Stdio_STDIO_STDOUT:
		_ = p.stdout.Serve(conn, s.Offset) // the host knows how its connection ended
	case s.Stdio == api.Stdio_STDIO_STDERR:
		_ = p.stderr.Serve(conn, s.Offset)
	}
}

// told is the exit as guest/api has it.
func (e *exit) told() *api.Exit { return &api.Exit{Code: e.Code, EndedUnixNanos: e.Ended} }
