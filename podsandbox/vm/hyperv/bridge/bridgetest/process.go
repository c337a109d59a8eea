package bridgetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Exit codes of processes that were ended.
const (
	killedCode  = 0xFFFFFFFF
	controlCode = 0xC000013A // STATUS_CONTROL_C_EXIT
)

// process is one in the guest. What it does is its program.
type process struct {
	line        string
	env         map[string]string
	console     bool
	in          net.Conn // nil without standard input
	out, errors net.Conn // may be nil

	once  sync.Once
	ended chan struct{}
	code  uint32

	mu   sync.Mutex
	size [2]uint16
}

func (p *process) end(code uint32) {
	p.once.Do(func() {
		p.code = code
		for _, c := range []net.Conn{p.in, p.out, p.errors} {
			if c != nil {
				c.Close()
			}
		}
		close(p.ended)
	})
}

type processParameters struct {
	ApplicationName, CommandLine, User, WorkingDirectory string
	Environment                                          map[string]string
	EmulateConsole                                       bool
	CreateStdInPipe, CreateStdOutPipe, CreateStdErrPipe  bool
	ConsoleSize                                          []uint16
}

func (g *Guest) execute(id string, body []byte) (answer, *refusal) {
	var r struct {
		Settings struct {
			ProcessParameters  string
			StdioRelaySettings struct{ StdIn, StdOut, StdErr string }
		}
	}
	if bad := unmarshal(body, &r); bad != nil {
		return nil, bad
	}
	var params processParameters
	if bad := unmarshal([]byte(r.Settings.ProcessParameters), &params); bad != nil {
		return nil, bad
	}
	if g.cfg.Check != nil {
		if err := g.cfg.Check("ProcessParameters", []byte(r.Settings.ProcessParameters)); err != nil {
			return nil, refuse(invalidJSON, "%v", err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note("Execute %s %s", id, params.CommandLine)
	c, bad := g.container(id)
	if bad != nil {
		return nil, bad
	}
	if !c.started {
		return nil, refuse(wrongState, "container %s was not started", id)
	}
	p := &process{line: params.CommandLine, env: params.Environment, console: params.EmulateConsole, ended: make(chan struct{})}
	run := program(g, p)
	if run == nil {
		return nil, refuse(fileNotFound, "the system cannot find the file specified: %s", params.CommandLine)
	}
	relay := r.Settings.StdioRelaySettings
	if err := g.dialStreams(p, params, relay.StdIn, relay.StdOut, relay.StdErr); err != nil {
		return nil, refuse(invalid, "%v", err)
	}
	g.nextPID += 4
	c.processes[g.nextPID] = p
	go run()
	return answer{"ProcessId": g.nextPID}, nil
}

func (g *Guest) dialStreams(p *process, params processParameters, in, out, errs string) error {
	for _, s := range []struct {
		wanted  bool
		service string
		to      *net.Conn
	}{{params.CreateStdInPipe, in, &p.in}, {params.CreateStdOutPipe, out, &p.out}, {params.CreateStdErrPipe, errs, &p.errors}} {
		if s.wanted != (s.service != "") {
			return errors.New("pipes and services do not fit together")
		}
		if !s.wanted {
			continue
		}
		conn, err := g.cfg.Dial(s.service)
		if err != nil {
			return fmt.Errorf("dial service %s: %w", s.service, err)
		}
		*s.to = conn
	}
	return nil
}

// program is what a command line does; nil if there is no such program. Callers hold mu.
func program(g *Guest, p *process) func() {
	words := strings.Fields(p.line)
	if len(words) == 0 {
		return nil
	}
	write := func(w io.Writer, text string) {
		if w != nil {
			_, _ = io.WriteString(w, text+"\r\n")
		}
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(p.line, words[0]), " ")
	switch words[0] {
	case "echo": // and what the environment says
		return func() {
			write(p.out, rest+p.env["SUFFIX"])
			if p.errors != nil {
				write(p.errors, "to the error stream")
			}
			p.end(0)
		}
	case "exit":
		code, err := strconv.ParseUint(rest, 0, 32)
		if err != nil {
			return nil
		}
		return func() { p.end(uint32(code)) }
	case "wait": // until it is ended
		return func() { write(p.out, "waiting") }
	case "size": // of the console, which changes first
		return func() { write(p.out, "ready") }
	case "cat":
		return func() {
			_, _ = io.Copy(p.out, p.in)
			p.end(0)
		}
	case "cmd":
		path, _, found := strings.Cut(strings.TrimPrefix(rest, "/c mkdir "), " & dir ")
		if !found {
			return nil
		}
		g.folders[path] = true
		return func() { p.end(0) }
	}
	return nil
}

// find is a process of a container, whether that lives or not. Callers hold mu.
func (g *Guest) find(id string, pid uint32) (*process, *refusal) {
	c := g.containers[id]
	if c == nil {
		return nil, refuse(noSystem, "container %s", id)
	}
	if p := c.processes[pid]; p != nil {
		return p, nil
	}
	return nil, refuse(notFound, "process %d", pid)
}

type processRequest struct {
	ProcessID     uint32 `json:"ProcessId"`
	TimeoutInMs   uint32
	Width, Height uint16
	Options       *struct{ Signal string }
}

func (g *Guest) asks(id string, body []byte) (*process, processRequest, *refusal) {
	var r processRequest
	if bad := unmarshal(body, &r); bad != nil {
		return nil, r, bad
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p, bad := g.find(id, r.ProcessID)
	return p, r, bad
}

func (g *Guest) wait(id string, body []byte) (answer, *refusal) {
	p, _, bad := g.asks(id, body)
	if bad != nil {
		return nil, bad
	}
	<-p.ended
	return answer{"ExitCode": p.code}, nil
}

func (g *Guest) signal(id string, body []byte) *refusal {
	p, r, bad := g.asks(id, body)
	if bad != nil {
		return bad
	}
	select {
	case <-p.ended:
		return refuse(notFound, "process %d has ended", r.ProcessID)
	default:
	}
	switch {
	case r.Options == nil:
		p.end(killedCode)
	case r.Options.Signal == "CtrlShutdown", r.Options.Signal == "CtrlC":
		p.end(controlCode)
	case r.Options.Signal == "CtrlBreak", r.Options.Signal == "CtrlClose", r.Options.Signal == "CtrlLogOff":
	default:
		return refuse(invalid, "signal %q", r.Options.Signal)
	}
	return nil
}

func (g *Guest) resize(id string, body []byte) *refusal {
	p, r, bad := g.asks(id, body)
	if bad != nil {
		return bad
	}
	if !p.console {
		return refuse(wrongState, "process %d has no console", r.ProcessID)
	}
	p.mu.Lock()
	p.size = [2]uint16{r.Width, r.Height}
	p.mu.Unlock()
	if strings.HasPrefix(p.line, "size") {
		_, _ = fmt.Fprintf(p.out, "%dx%d\r\n", r.Width, r.Height)
		p.end(0)
	}
	return nil
}

func (g *Guest) properties(id string, body []byte) (answer, *refusal) {
	var r struct{ Query string }
	if bad := unmarshal(body, &r); bad != nil {
		return nil, bad
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c, bad := g.container(id)
	if bad != nil {
		return nil, bad
	}
	props := map[string]any{}
	if strings.Contains(r.Query, "Statistics") {
		props["Statistics"] = json.RawMessage(`{"Timestamp":"2026-01-02T03:04:05.6Z","ContainerStartTime":"2026-01-02T03:04:00Z",` +
			`"Uptime100ns":56000000,"Processor":{"TotalRuntime100ns":30,"RuntimeUser100ns":20,"RuntimeKernel100ns":10},` +
			`"Memory":{"MemoryUsageCommitBytes":4096,"MemoryUsageCommitPeakBytes":8192,"MemoryUsagePrivateWorkingSetBytes":2048},"Storage":{}}`)
	}
	if strings.Contains(r.Query, "ProcessList") {
		var list []any
		for pid, p := range c.processes {
			select {
			case <-p.ended:
			default:
				list = append(list, map[string]any{"ProcessId": pid, "ImageName": strings.Fields(p.line)[0]})
			}
		}
		props["ProcessList"] = list
	}
	text, err := json.Marshal(props)
	if err != nil {
		return nil, refuse(invalid, "%v", err)
	}
	return answer{"Properties": string(text)}, nil
}
