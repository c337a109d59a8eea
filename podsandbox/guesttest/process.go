package guesttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/stream"
)

// Container is one container of the guest.
type Container struct {
	Request *api.CreateContainerRequest
	Init    *Process

	mu        sync.Mutex
	execs     map[string]*Process
	resources []byte // of the last UpdateContainer
}

// Resources are those of the last UpdateContainer; nil before any.
func (c *Container) Resources() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resources
}

// Process is one process; a test writes its output and ends it.
type Process struct {
	Stdout, Stderr *stream.OutputBuffer
	// Stdin yields what the host sends.
	Stdin  *io.PipeReader
	stdinW *io.PipeWriter
	// IgnoreTerm makes it survive every signal but SIGKILL.
	IgnoreTerm bool
	// Signals are those it got.
	Signals chan uint32

	mu      sync.Mutex
	started time.Time
	exit    *api.Exit
	ended   chan struct{}
}

func newProcess() *Process {
	p := &Process{Stdout: stream.NewOutputBuffer(0), Stderr: stream.NewOutputBuffer(0), ended: make(chan struct{}), Signals: make(chan uint32, 16)}
	p.Stdin, p.stdinW = io.Pipe()
	return p
}

func (p *Process) start(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = at
}

// Exit ends the process.
func (p *Process) Exit(e *api.Exit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit != nil {
		return
	}
	if e.EndedUnixNanos == 0 {
		e.EndedUnixNanos = time.Now().UnixNano()
	}
	p.exit = e
	p.Stdout.Close()
	p.Stderr.Close()
	p.stdinW.Close()
	close(p.ended)
}

func (p *Process) discard() {
	p.Exit(&api.Exit{Code: 137, Signal: 9})
	p.Stdout.Discard()
	p.Stderr.Discard()
}

func (p *Process) state(id string) *api.ContainerState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &api.ContainerState{Id: id, State: api.ProcessState_PROCESS_STATE_CREATED, Exit: p.exit}
	if !p.started.IsZero() {
		s.State, s.StartedUnixNanos = api.ProcessState_PROCESS_STATE_RUNNING, p.started.UnixNano()
	}
	if p.exit != nil {
		s.State = api.ProcessState_PROCESS_STATE_ENDED
	}
	return s
}

func (a *Agent) process(container, exec string) (*Process, error) {
	c, err := a.find(container)
	if err != nil {
		return nil, err
	}
	if exec == "" {
		return c.Init, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.execs[exec]; p != nil {
		return p, nil
	}
	return nil, status.Errorf(codes.NotFound, "no exec %s", exec)
}

// Exec runs a few commands: "echo" writes its argument, "cat" copies its input,
// "size" writes the size that its terminal began with, "sleep" does not end.
func (a *Agent) Exec(_ context.Context, r *api.ExecRequest) (*api.ExecResponse, error) {
	if err := a.check("Exec"); err != nil {
		return nil, err
	}
	c, err := a.find(r.ContainerId)
	if err != nil {
		return nil, err
	}
	var spec specs.Process
	if err := json.Unmarshal(r.Process, &spec); err != nil || len(spec.Args) == 0 {
		return nil, status.Errorf(codes.InvalidArgument, "process: %v", err)
	}
	p := newProcess()
	c.mu.Lock()
	c.execs[r.ExecId] = p
	c.mu.Unlock()
	go p.run(spec.Args, r)
	return &api.ExecResponse{Pid: 2}, nil
}

func (p *Process) run(args []string, r *api.ExecRequest) {
	switch args[0] {
	case "echo":
		io.WriteString(p.Stdout, args[1]+"\n")
		io.WriteString(p.Stderr, "error\n")
		p.Exit(&api.Exit{Code: 3})
	case "size":
		fmt.Fprintf(p.Stdout, "%dx%d", r.Width, r.Height)
		p.Exit(&api.Exit{})
	case "cat":
		io.Copy(p.Stdout, p.Stdin)
		p.Exit(&api.Exit{})
	}
}

// SignalProcess ends a process, unless it ignores the signal.
func (a *Agent) SignalProcess(_ context.Context, r *api.SignalProcessRequest) (*api.SignalProcessResponse, error) {
	p, err := a.process(r.ContainerId, r.ExecId)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ended:
		return nil, status.Error(codes.NotFound, "it has ended")
	default:
	}
	select {
	case p.Signals <- r.Signal:
	default:
	}
	if r.Signal == 9 || !p.IgnoreTerm {
		p.Exit(&api.Exit{Code: 128 + r.Signal, Signal: r.Signal})
	}
	return &api.SignalProcessResponse{}, nil
}

// WaitProcess waits for a process's end.
func (a *Agent) WaitProcess(ctx context.Context, r *api.WaitProcessRequest) (*api.WaitProcessResponse, error) {
	p, err := a.process(r.ContainerId, r.ExecId)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r.Forget && r.ExecId != "" {
		c, err := a.find(r.ContainerId)
		if err == nil {
			c.mu.Lock()
			delete(c.execs, r.ExecId)
			c.mu.Unlock()
		}
	}
	return &api.WaitProcessResponse{Exit: p.exit}, nil
}

// Execs counts the execs that are not forgotten.
func (c *Container) Execs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.execs)
}

// ResizeTerminal accepts anything.
func (a *Agent) ResizeTerminal(_ context.Context, r *api.ResizeTerminalRequest) (*api.ResizeTerminalResponse, error) {
	_, err := a.process(r.ContainerId, r.ExecId)
	return &api.ResizeTerminalResponse{}, err
}
