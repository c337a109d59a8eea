package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/Microsoft/go-winio/pkg/guid"
)

// ProcessParameters say what a process runs.
type ProcessParameters struct {
	// ApplicationName is the program's path; empty: the command line's first word.
	ApplicationName string `json:",omitempty"`
	CommandLine     string `json:",omitempty"`
	// CommandArgs are in the place of CommandLine, in Linux guests.
	CommandArgs      []string          `json:",omitempty"`
	User             string            `json:",omitempty"`
	WorkingDirectory string            `json:",omitempty"`
	Environment      map[string]string `json:",omitempty"`
	// EmulateConsole gives the process a console, whose size is ConsoleSize: height, then width.
	EmulateConsole bool     `json:",omitempty"`
	ConsoleSize    []uint16 `json:",omitempty"`
	// CreateStdInPipe and the others open the standard streams. A console has no error stream.
	CreateStdInPipe  bool `json:",omitempty"`
	CreateStdOutPipe bool `json:",omitempty"`
	CreateStdErrPipe bool `json:",omitempty"`
	// OciProcess is a process of the runtime specification, in a container of a Linux guest.
	OciProcess any `json:",omitempty"`
}

// Signal is a ConsoleEvent or a UnixSignal, after the guest's kind.
type Signal interface{ options() any }

// ConsoleEvent is delivered to Windows processes.
type ConsoleEvent string

// The console events there are.
const (
	CtrlC        ConsoleEvent = "CtrlC"
	CtrlBreak    ConsoleEvent = "CtrlBreak"
	CtrlClose    ConsoleEvent = "CtrlClose"
	CtrlLogOff   ConsoleEvent = "CtrlLogOff"
	CtrlShutdown ConsoleEvent = "CtrlShutdown"
)

// UnixSignal is delivered to Linux processes.
type UnixSignal int32

func (e ConsoleEvent) options() any { return struct{ Signal ConsoleEvent }{e} }
func (s UnixSignal) options() any   { return struct{ Signal UnixSignal }{s} }

// Process is one in the guest.
type Process struct {
	client    *Client
	container string
	pid       uint32
	// Streams that were not asked for are nil. Each waits for the guest when first used.
	stdin, stdout, stderr *stream

	exited chan struct{}
	// code and err are set before exited is closed.
	code uint32
	err  error
}

func (c *Client) execute(ctx context.Context, container string, params ProcessParameters) (*Process, error) {
	params.CreateStdErrPipe = params.CreateStdErrPipe && !params.EmulateConsole
	p := &Process{client: c, container: container, exited: make(chan struct{})}
	settings, err := p.open(params)
	if err != nil {
		p.Close()
		return nil, err
	}
	late := func(body []byte) {
		var a executeAnswer
		if json.Unmarshal(body, &a) == nil && a.Result == 0 {
			p.pid = a.ProcessID
			_ = p.Kill(context.Background()) // ends with the connection
		}
	}
	var resp executeAnswer
	req := &executeRequest{to(container), settings}
	if err := c.conn.call(ctx, executeProcess, req, &resp, late); err != nil {
		p.Close()
		return nil, err
	}
	p.pid = resp.ProcessID
	go p.wait()
	return p, nil
}

// OpenProcess is a handle to a process that was started through a bridge before
// this: it can be waited for and signalled. Its streams are gone.
func (ctr *Container) OpenProcess(pid uint32) *Process {
	p := &Process{client: ctr.client, container: ctr.id, pid: pid, exited: make(chan struct{})}
	go p.wait()
	return p
}

// open listens for the streams that params ask for.
func (p *Process) open(params ProcessParameters) (executeSettings, error) {
	settings := executeSettings{ProcessParameters: text[ProcessParameters]{params}}
	port := p.client.ports(3)
	var numbers [3]*uint32
	for i, s := range []struct {
		wanted bool
		stream **stream
	}{{params.CreateStdInPipe, &p.stdin}, {params.CreateStdOutPipe, &p.stdout}, {params.CreateStdErrPipe, &p.stderr}} {
		if !s.wanted {
			continue
		}
		number := port + uint32(i)
		l, err := p.client.listen(number)
		if err != nil {
			return settings, fmt.Errorf("listen for the guest on port %#x: %w", number, err)
		}
		*s.stream, numbers[i] = newStream(l, p.client.conn.done), &number
	}
	if p.client.Windows() {
		settings.StdioRelaySettings = &relay[guid.GUID]{service(numbers[0]), service(numbers[1]), service(numbers[2])}
	} else {
		settings.VsockStdioRelaySettings = &relay[uint32]{numbers[0], numbers[1], numbers[2]}
	}
	return settings, nil
}

// service is the socket service that stands for a vsock port, as
// winio.VsockServiceID makes it.
func service(port *uint32) *guid.GUID {
	if port == nil {
		return nil
	}
	return &guid.GUID{
		Data1: *port, Data2: 0xfacb, Data3: 0x11e6,
		Data4: [8]byte{0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3},
	}
}

func (p *Process) wait() {
	defer close(p.exited)
	var resp waitAnswer
	req := &waitRequest{to(p.container), p.pid, forever}
	p.err = p.client.conn.call(context.Background(), waitForProcess, req, &resp, nil) // ends with the connection
	p.code = resp.ExitCode
}

// PID is the process's in the guest.
func (p *Process) PID() uint32 { return p.pid }

// Stdin is what the process reads; Close of it is the end of that. Nil if not asked for.
func (p *Process) Stdin() io.WriteCloser {
	if p.stdin == nil {
		return nil
	}
	return stdin{p.stdin}
}

// Stdout is what the process writes; nil if not asked for. It has to be read to its
// end, or closed by Close, before the guest tells that the process has exited.
func (p *Process) Stdout() io.Reader { return p.stdout.reader() }

// Stderr likewise.
func (p *Process) Stderr() io.Reader { return p.stderr.reader() }

// Wait waits for the process's end and returns its exit code.
func (p *Process) Wait(ctx context.Context) (uint32, error) {
	select {
	case <-p.exited:
		return p.code, p.err
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for process %d: %w", p.pid, ctx.Err())
	}
}

// Exited is closed when Wait would return.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Signal sends the process s. Of one that has ended the guest says
// computecore.ElementNotFound.
func (p *Process) Signal(ctx context.Context, s Signal) error { return p.signal(ctx, s.options()) }

// Kill ends the process.
func (p *Process) Kill(ctx context.Context) error { return p.signal(ctx, nil) }

func (p *Process) signal(ctx context.Context, options any) error {
	return p.client.conn.call(ctx, signalProcess, &signalRequest{to(p.container), p.pid, options}, &answer{}, nil)
}

// Resize sets the size of the process's console.
func (p *Process) Resize(ctx context.Context, width, height uint16) error {
	req := &resizeRequest{target: to(p.container), ProcessID: p.pid, Height: height, Width: width}
	return p.client.conn.call(ctx, resizeConsole, req, &answer{}, nil)
}

// Close closes the streams. The process runs on.
func (p *Process) Close() error {
	return errors.Join(p.stdin.Close(), p.stdout.Close(), p.stderr.Close())
}
