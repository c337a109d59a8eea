//go:build linux

package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/agent/cgroup"
	"github.com/paddock-run/paddock/guest/api"
)

// maxExecs bounds the execs of a container that are running or not yet forgotten.
const maxExecs = 512

// Exec starts a further process in a running container.
func (a *Agent) Exec(ctx context.Context, req *api.ExecRequest) (*api.ExecResponse, error) {
	if err := checkID("exec id", req.ExecId); err != nil {
		return nil, err
	}
	c, err := a.container(req.ContainerId)
	if err != nil {
		return nil, err
	}
	if (c.windows != nil) != (req.Windows != nil) {
		return nil, invalid("container %q and the process are of different operating systems", c.id)
	}
	if req.Windows != nil {
		return a.execWindows(ctx, c, req)
	}
	spec, err := c.spec.execProcess(req.Process, req.Terminal, req.Width, req.Height)
	if err != nil {
		return nil, err
	}
	dir, err := c.reserveExec(req.ExecId)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p, err := a.exec(ctx, c, req, dir, spec)
	if err != nil {
		c.forgetExec(req.ExecId)
		return nil, launchError(err, spec.Args[0])
	}
	return c.execStarted(req, p), nil
}

// execStarted notes an exec that runs.
func (c *container) execStarted(req *api.ExecRequest, p *process) *api.ExecResponse {
	c.mu.Lock()
	c.execs[req.ExecId] = p
	c.mu.Unlock()
	if req.Terminal && req.Width > 0 && req.Height > 0 {
		p.resize(req.Width, req.Height) // the process may have ended already
	}
	return &api.ExecResponse{Pid: uint32(p.pid())}
}

// reserveExec takes the id and makes a directory for the start.
func (c *container) reserveExec(id string) (dir string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != api.ProcessState_PROCESS_STATE_RUNNING {
		return "", wrongState("container %q is not running", c.id)
	}
	if c.execs[id] != nil {
		return "", status.Errorf(codes.AlreadyExists, "exec %q of container %q exists", id, c.id)
	}
	if len(c.execs) >= maxExecs {
		return "", status.Errorf(codes.ResourceExhausted, "container %q has %d execs already", c.id, len(c.execs))
	}
	c.execSeq++
	dir = filepath.Join(c.dir(), "e"+strconv.Itoa(c.execSeq))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	c.execs[id] = &process{stdin: &input{}} // without a PID: not there yet
	return dir, nil
}

func (c *container) forgetExec(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.execs, id)
}

func (a *Agent) exec(ctx context.Context, c *container, req *api.ExecRequest, dir string, spec *specs.Process) (*process, error) {
	file := filepath.Join(dir, "process.json")
	if err := writeJSON(file, spec); err != nil {
		return nil, err
	}
	return a.launch(ctx, c, launch{
		dir: dir, user: spec.User, processFile: file, terminal: req.Terminal, stdin: req.Stdin,
		folder: c.folderName(filepath.Base(dir)),
		onEnd: func(exit *api.Exit) {
			exit.OomKilled = exit.Signal == uint32(unix.SIGKILL) && cgroup.OOMKills(c.cgroup()) > 0
		},
	})
}

// SignalProcess signals one process, or all of a container.
func (a *Agent) SignalProcess(_ context.Context, req *api.SignalProcessRequest) (*api.SignalProcessResponse, error) {
	event := req.Event != api.ControlEvent_CONTROL_EVENT_NONE
	if !event && (req.Signal == 0 || req.Signal > 64) {
		return nil, invalid("signal %d: want 1 to 64", req.Signal)
	}
	c, p, err := a.process(req.ContainerId, req.ExecId)
	if err != nil {
		return nil, err
	}
	if event {
		if err := c.sendEvent(p, req.Event); err != nil {
			return nil, err
		}
		req = &api.SignalProcessRequest{Signal: uint32(unix.SIGINT)} // which has the event delivered
	}
	sig := unix.Signal(req.Signal)
	if req.All {
		return &api.SignalProcessResponse{}, c.signalAll(sig)
	}
	if p.ending() != nil {
		return nil, notFound("the process has ended")
	}
	err = a.reaper.Signal(p.proc, sig)
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, unix.ESRCH) {
		return nil, notFound("the process has ended")
	}
	return &api.SignalProcessResponse{}, err
}

func (c *container) signalAll(sig unix.Signal) error {
	if sig == unix.SIGKILL {
		return cgroup.Kill(c.cgroup())
	}
	pids, err := cgroup.Processes(c.cgroup())
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return notFound("container %q has no process left", c.id)
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// WaitProcess answers when the process has ended.
func (a *Agent) WaitProcess(ctx context.Context, req *api.WaitProcessRequest) (*api.WaitProcessResponse, error) {
	c, p, err := a.process(req.ContainerId, req.ExecId)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if req.Forget && req.ExecId != "" {
		c.forgetExec(req.ExecId)
		c.removeFolder(p.folder)
		p.stdin.close()
		p.discard()
	}
	return &api.WaitProcessResponse{Exit: p.ending()}, nil
}

// ResizeTerminal sets a terminal's size.
func (a *Agent) ResizeTerminal(_ context.Context, req *api.ResizeTerminalRequest) (*api.ResizeTerminalResponse, error) {
	_, p, err := a.process(req.ContainerId, req.ExecId)
	if err != nil {
		return nil, err
	}
	return &api.ResizeTerminalResponse{}, p.resize(req.Width, req.Height)
}
