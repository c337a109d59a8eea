//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/paddock-run/paddock/guest/agent/boot"
	"github.com/paddock-run/paddock/guest/agent/cgroup"
	"github.com/paddock-run/paddock/guest/agent/crun"
	"github.com/paddock-run/paddock/guest/agent/reaper"
	"github.com/paddock-run/paddock/guest/agent/users"
	"github.com/paddock-run/paddock/guest/api"
)

// maxWindow bounds the output kept of one stream, in bytes.
const maxWindow = 16 << 20

// CreateContainer makes a container whose init waits for StartContainer.
func (a *Agent) CreateContainer(ctx context.Context, req *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
	spec, err := checkCreate(req)
	if err != nil {
		return nil, err
	}
	c := &container{id: req.Id, mode: req.PidMode, pod: a.podNamespaces(), execs: map[string]*process{}, created: make(chan struct{})}
	if err := a.reserve(c); err != nil {
		return nil, err
	}
	defer close(c.created)
	if err := a.create(ctx, c, spec, req); err != nil {
		return nil, errors.Join(err, a.remove(c))
	}
	c.mu.Lock()
	c.state = api.ProcessState_PROCESS_STATE_CREATED
	c.mu.Unlock()
	return &api.CreateContainerResponse{User: c.user, Pid: uint32(c.init.pid())}, nil
}

func checkCreate(req *api.CreateContainerRequest) (*specs.Spec, error) {
	if err := checkID("container id", req.Id); err != nil {
		return nil, err
	}
	if err := checkLayers(req.Layers); err != nil {
		return nil, err
	}
	if req.OutputWindow > maxWindow {
		return nil, invalid("output window of %d bytes: at most %d", req.OutputWindow, maxWindow)
	}
	if req.Windows != nil {
		if err := checkWindows(req); err != nil {
			return nil, err
		}
	}
	if err := checkMounts(req.Mounts); err != nil {
		return nil, err
	}
	spec, err := parseSpec(req.Spec)
	if err == nil && req.Windows != nil {
		runByWine(spec.Process, initFolder)
	}
	return spec, err
}

// reserve takes the id, so that a second request of it fails at once.
func (a *Agent) reserve(c *container) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.poweringOff {
		return wrongState("the VM is shutting down")
	}
	if a.containers[c.id] != nil {
		return errorf(codes.AlreadyExists, "container %q exists", c.id)
	}
	a.containers[c.id] = c
	return nil
}

func (a *Agent) create(ctx context.Context, c *container, spec *specs.Spec, req *api.CreateContainerRequest) error {
	if req.Windows != nil {
		return a.createWindows(ctx, c, spec, req)
	}
	if err := a.mountRootfs(ctx, c, req.Layers); err != nil {
		return err
	}
	if err := c.resolveUser(req.User); err != nil {
		return err
	}
	return a.createIn(ctx, c, spec, req)
}

// createIn makes the container in the root file system that it has, for the user who is known.
func (a *Agent) createIn(ctx context.Context, c *container, spec *specs.Spec, req *api.CreateContainerRequest) error {
	pidNamespace, err := a.pidNamespace(req.PidMode, req.PidTarget)
	if err != nil {
		return err
	}
	if err := a.addMounts(ctx, c, spec, req.Mounts); err != nil {
		return err
	}
	err = c.pod.inside(func() error { return c.pod.setSysctls(spec.Linux.Sysctl) })
	if err != nil {
		return err
	}
	if err := c.mountDevices(spec); err != nil {
		return err
	}
	c.completeSpec(spec, req, c.namespaces(pidNamespace))
	if r := spec.Linux.Resources; r != nil {
		if r.HugepageLimits, err = hugepageLimits(boot.PodCgroup, r.HugepageLimits); err != nil {
			return err
		}
	}
	if err := writeJSON(filepath.Join(c.dir(), "config.json"), spec); err != nil {
		return err
	}
	c.init, err = a.launch(ctx, c, launch{
		dir: c.dir(), user: spec.Process.User, terminal: req.Terminal, stdin: req.Stdin, window: int(req.OutputWindow),
		folder: c.folderName(initFolder),
		onEnd:  func(exit *api.Exit) { a.initEnded(c, exit) },
	})
	if err != nil {
		return launchError(err, spec.Process.Args[0])
	}
	return c.delegateCgroup(spec)
}

// delegateCgroup gives a container that may write to its cgroups its own, which
// in a user namespace its root would not have the right to.
func (c *container) delegateCgroup(spec *specs.Spec) error {
	writable := slices.ContainsFunc(spec.Mounts, func(m specs.Mount) bool {
		return m.Type == "cgroup" && !slices.Contains(m.Options, "ro")
	})
	if c.pod == nil || !writable {
		return nil
	}
	return cgroup.Delegate(c.cgroup(), c.pod.root())
}

func (c *container) resolveUser(u *api.User) error {
	if u == nil {
		u = &api.User{}
	}
	resolved, err := users.Resolve(c.rootfs(), users.Request{
		User: u.User, UID: u.Uid, GID: u.Gid, Supplemental: u.SupplementalGroups,
		Strict: u.StrictGroups, NotRoot: u.MustNotBeRoot,
	})
	if errors.Is(err, users.ErrRoot) {
		return wrongState("%v", err)
	}
	if err != nil {
		return invalid("%v", err)
	}
	c.user = &api.ResolvedUser{Uid: resolved.UID, Gid: resolved.GID, Groups: resolved.Groups}
	c.home = resolved.Home
	return nil
}

// ownStdio gives a process's pipes to it: the kernel asks for the owner when
// /dev/stdout is opened anew, and in a user namespace no process has the right to change it.
func (c *container) ownStdio(child childStdio, user specs.User) error {
	if c.pod == nil {
		return nil
	}
	for _, f := range child {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return fmt.Errorf("stat the process's stdio: %w", err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFIFO {
			continue
		}
		if err := f.Chown(c.pod.owner(user.UID), c.pod.owner(user.GID)); err != nil {
			return fmt.Errorf("give the process its stdio: %w", err)
		}
	}
	return nil
}

// launchError tells a program that cannot be run from other failures of the runtime.
func launchError(err error, program string) error {
	var failed *crun.Error
	if !errors.As(err, &failed) || !strings.Contains(failed.Message, "executable") {
		return err
	}
	return invalid("cannot run %q in the container: %v", program, failed)
}

// launch says how to start a process; processFile is set for an exec.
type launch struct {
	dir             string // for the runtime's files
	processFile     string
	terminal, stdin bool
	window          int
	user            specs.User // the process's own, by ids of the container
	folder          string     // of a Windows process; "" for Linux's
	onEnd           func(*api.Exit)
}

// launch starts an init or exec process, whose stdio and end it then follows.
func (a *Agent) launch(ctx context.Context, c *container, l launch) (_ *process, err error) {
	p, child, err := newProcess(l.terminal, l.stdin, l.window)
	if err != nil {
		return nil, fmt.Errorf("make the process's stdio: %w", err)
	}
	defer child.close()
	defer func() {
		if err != nil {
			p.discard()
		}
	}()
	if err := c.ownStdio(child, l.user); err != nil {
		return nil, err
	}
	start := crun.Process{Dir: l.dir, Stdio: child}
	var terminal *console
	if l.terminal {
		start.Console = filepath.Join(l.dir, "tty")
		if terminal, err = listenConsole(start.Console); err != nil {
			return nil, err
		}
		defer os.Remove(start.Console)
		defer terminal.close()
	}
	var proc *reaper.Process
	if l.processFile == "" {
		proc, err = a.runtime.Create(ctx, c.id, c.dir(), start)
	} else {
		proc, err = a.runtime.Exec(ctx, c.id, l.processFile, start)
	}
	if err != nil {
		return nil, err
	}
	if terminal != nil {
		master, err := terminal.receive(ctx)
		if err != nil {
			a.reaper.Signal(proc, unix.SIGKILL)
			return nil, err
		}
		if l.folder != "" {
			if err := rawTerminal(master); err != nil {
				a.reaper.Signal(proc, unix.SIGKILL)
				master.Close()
				return nil, err
			}
		}
		p.attachTerminal(master, l.stdin)
	}
	p.folder = l.folder
	p.follow(proc, func(exit *api.Exit) {
		c.windowsExit(l.folder, exit)
		l.onEnd(exit)
	})
	return p, nil
}
