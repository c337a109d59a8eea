package windowsagent

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
)

// Exec implements api.AgentService.
func (a *Agent) Exec(ctx context.Context, req *api.ExecRequest) (*api.ExecResponse, error) {
	c, err := a.container(req.ContainerId)
	if err != nil {
		return nil, err
	}
	if _, err := a.guest(ctx); err != nil {
		return nil, err
	}
	if req.ExecId == "" || req.Windows == nil || len(req.Windows.Args) == 0 && req.Windows.CommandLine == "" {
		return nil, invalid("a process in container %s needs an id and arguments", req.ContainerId)
	}
	run := commandOf(req.Windows, c.Process.User, req.Terminal, req.Stdin, 0)
	if run.Dir == "" {
		run.Dir = c.Process.Dir
	}
	if len(run.Env) == 0 {
		run.Env = c.Process.Env
	}
	p := newProcess(run)
	handle, err := a.addExec(c, req.ExecId, p)
	if err != nil {
		return nil, err
	}
	params := run.parameters()
	if req.Terminal && req.Width > 0 && req.Height > 0 {
		params.ConsoleSize = []uint16{uint16(min(req.Height, maxConsole)), uint16(min(req.Width, maxConsole))}
	}
	proc, err := handle.Execute(ctx, params)
	if err != nil {
		a.removeExec(c, req.ExecId, p)
		return nil, fmt.Errorf("%q in container %s: %w", run.Line, req.ContainerId, err)
	}
	p.attach(proc)
	p.follow(handle, proc, nil)
	return &api.ExecResponse{Pid: proc.PID()}, nil
}

// maxConsole is a console's greatest width and height: COORD has signed numbers.
const maxConsole = 32767

func (a *Agent) addExec(c *container, id string, p *process) (*bridge.Container, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case c.PID == 0 || c.Exit != nil:
		return nil, wrongState("container %s is not running", c.ID)
	case c.execs[id] != nil:
		return nil, status.Errorf(codes.AlreadyExists, "process %s of container %s exists", id, c.ID)
	}
	c.execs[id] = p
	return c.handle, nil
}

func (a *Agent) removeExec(c *container, id string, p *process) {
	a.mu.Lock()
	delete(c.execs, id)
	a.mu.Unlock()
	p.discard()
}

// process finds a container's first process, or a further one.
func (a *Agent) process(containerID, execID string) (*process, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.containers[containerID]
	if c == nil {
		return nil, notFound("no container %s", containerID)
	}
	if execID == "" {
		return c.init, nil
	}
	if p := c.execs[execID]; p != nil {
		return p, nil
	}
	return nil, notFound("container %s has no process %s", containerID, execID)
}

// events are the console events by their names in the bridge's protocol.
var events = map[api.ControlEvent]bridge.ConsoleEvent{
	api.ControlEvent_CONTROL_EVENT_CTRL_C: bridge.CtrlC, api.ControlEvent_CONTROL_EVENT_CTRL_BREAK: bridge.CtrlBreak,
	api.ControlEvent_CONTROL_EVENT_CTRL_CLOSE: bridge.CtrlClose, api.ControlEvent_CONTROL_EVENT_CTRL_LOGOFF: bridge.CtrlLogOff,
	api.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN: bridge.CtrlShutdown,
}

const sigKill = 9

// SignalProcess implements api.AgentService.
func (a *Agent) SignalProcess(ctx context.Context, req *api.SignalProcessRequest) (*api.SignalProcessResponse, error) {
	p, err := a.process(req.ContainerId, req.ExecId)
	if err != nil {
		return nil, err
	}
	if _, err := a.guest(ctx); err != nil {
		return nil, err
	}
	proc, err := p.running()
	if err != nil {
		return nil, err
	}
	event, known := events[req.Event]
	switch {
	case known:
		err = proc.Signal(ctx, event)
	case req.Signal == sigKill && req.All && req.ExecId == "":
		c, missing := a.container(req.ContainerId)
		if missing != nil {
			return nil, missing
		}
		err = a.handleOf(c).Terminate(ctx)
	case req.Signal == sigKill:
		err = proc.Kill(ctx)
	default:
		return nil, invalid("signal %d to a process of Windows: use a console event", req.Signal)
	}
	if gone(err) {
		return nil, notFound("the process has ended: %v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("signal a process of container %s: %w", req.ContainerId, err)
	}
	return &api.SignalProcessResponse{}, nil
}

// WaitProcess implements api.AgentService.
func (a *Agent) WaitProcess(ctx context.Context, req *api.WaitProcessRequest) (*api.WaitProcessResponse, error) {
	p, err := a.process(req.ContainerId, req.ExecId)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if req.Forget && req.ExecId != "" {
		if c, err := a.container(req.ContainerId); err == nil {
			a.mu.Lock()
			delete(c.execs, req.ExecId)
			a.mu.Unlock()
		}
	}
	return &api.WaitProcessResponse{Exit: p.exit.told()}, nil
}

// ResizeTerminal implements api.AgentService.
func (a *Agent) ResizeTerminal(ctx context.Context, req *api.ResizeTerminalRequest) (*api.ResizeTerminalResponse, error) {
	p, err := a.process(req.ContainerId, req.ExecId)
	if err != nil {
		return nil, err
	}
	if p.stderr != nil {
		return nil, wrongState("the process has no terminal")
	}
	if req.Width > maxConsole || req.Height > maxConsole {
		return nil, invalid("terminal size %dx%d is out of range", req.Width, req.Height)
	}
	proc, err := p.running()
	if err != nil {
		return nil, err
	}
	return &api.ResizeTerminalResponse{}, proc.Resize(ctx, uint16(req.Width), uint16(req.Height))
}
