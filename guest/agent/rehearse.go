//go:build linux

package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/agent/netconf"
	"github.com/paddock-run/paddock/guest/api"
)

// RehearseArg makes the agent's program end at once: it stands for a container's.
const RehearseArg = "rehearse"

// rehearsal is the id of the container that Rehearse makes: no pod's, whose ids are hexadecimal.
const rehearsal = "rehearsal"

// rehearseTime bounds the wait for the rehearsal's processes.
const rehearseTime = 20 * time.Second

// Rehearse makes, runs and removes a container of the guest's own files, and
// configures the network and takes that back.
func (a *Agent) Rehearse(ctx context.Context, req *api.RehearseRequest) (*api.RehearseResponse, error) {
	if req.Container == nil || req.Container.Id != rehearsal {
		return nil, invalid("rehearse: want a container with the id %q", rehearsal)
	}
	spec, err := checkCreate(req.Container)
	if err != nil {
		return nil, err
	}
	spec.Process.Args, spec.Process.Cwd = []string{"/init", RehearseArg}, "/"
	s := &a.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.request != nil {
		return nil, wrongState("a pod is in this VM")
	}
	if !isMountPoint(scratchDir) {
		return nil, wrongState("the scratch disk is not mounted yet")
	}
	ctx, cancel := context.WithTimeout(ctx, rehearseTime)
	defer cancel()
	if len(req.Mac) > 0 {
		if err := netconf.Rehearse(ctx, req.Mac); err != nil {
			return nil, fmt.Errorf("rehearse the network: %w", err)
		}
	}
	if err := a.rehearsePod(ctx, spec, req.Container); err != nil {
		return nil, fmt.Errorf("rehearse a container: %w", err)
	}
	return &api.RehearseResponse{}, nil
}

// rehearsePod gives the container the files of a pod, which are gone afterwards.
func (a *Agent) rehearsePod(ctx context.Context, spec *specs.Spec, req *api.CreateContainerRequest) (err error) {
	defer func() {
		if undoErr := removeSandboxFiles(); err == nil {
			err = undoErr
		}
	}()
	pod := &api.ConfigureSandboxRequest{Hostname: rehearsal, Dns: &api.DNS{Servers: []string{"192.0.2.1"}, Searches: []string{"svc.cluster.local"}}}
	if err := writeSandboxFiles(pod, 0); err != nil {
		return err
	}
	if err := mountShm(0, 0); err != nil {
		return err
	}
	return a.rehearseContainer(ctx, spec, req)
}

func (a *Agent) rehearseContainer(ctx context.Context, spec *specs.Spec, req *api.CreateContainerRequest) (err error) {
	c := &container{id: rehearsal, mode: req.PidMode, execs: map[string]*process{}, created: make(chan struct{})}
	if err := a.reserve(c); err != nil {
		return err
	}
	close(c.created)
	defer func() {
		if removeErr := a.remove(c); err == nil {
			err = removeErr
		}
	}()
	lowers, err := a.mountLayers(ctx, c, req.Layers)
	if err != nil {
		return err
	}
	// In the place of an image's programs, what the guest itself is made of.
	if err := c.mountWritable(append(lowers, "/")); err != nil {
		return err
	}
	if err := c.resolveUser(req.User); err != nil {
		return err
	}
	if err := a.createIn(ctx, c, spec, req); err != nil {
		return err
	}
	if err := a.rehearseExec(ctx, c, spec.Process); err != nil {
		return err
	}
	c.mu.Lock()
	c.state = api.ProcessState_PROCESS_STATE_CREATED
	c.mu.Unlock()
	if _, err := a.StartContainer(ctx, &api.StartContainerRequest{Id: c.id}); err != nil {
		return err
	}
	select {
	case <-c.init.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rehearseExec runs a program beside the container's init, which waits for its start.
func (a *Agent) rehearseExec(ctx context.Context, c *container, process *specs.Process) error {
	dir := filepath.Join(c.dir(), "e")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	p, err := a.exec(ctx, c, &api.ExecRequest{ContainerId: c.id}, dir, process)
	if err != nil {
		return err
	}
	defer p.discard()
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		a.reaper.Signal(p.proc, unix.SIGKILL)
		return ctx.Err()
	}
}
