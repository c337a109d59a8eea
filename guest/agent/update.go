//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest/agent/boot"
	"github.com/paddock-run/paddock/guest/agent/cgroup"
	"github.com/paddock-run/paddock/guest/agent/processors"
	"github.com/paddock-run/paddock/guest/api"
)

// UpdateContainer changes a container's limits.
func (a *Agent) UpdateContainer(ctx context.Context, req *api.UpdateContainerRequest) (*api.UpdateContainerResponse, error) {
	c, err := a.container(req.Id)
	if err != nil {
		return nil, err
	}
	if c.init.ending() != nil {
		return nil, wrongState("container %q has ended", c.id)
	}
	resources, err := parseResources(req.Resources)
	if err != nil {
		return nil, err
	}
	if resources.HugepageLimits, err = hugepageLimits(boot.PodCgroup, resources.HugepageLimits); err != nil {
		return nil, fmt.Errorf("update container %q: %w", c.id, err)
	}
	if err := makeRoom(c.cgroup(), resources); err != nil {
		return nil, fmt.Errorf("update container %q: %w", c.id, err)
	}
	dir, err := os.MkdirTemp(c.dir(), "update")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "resources.json")
	if err := writeJSON(file, resources); err != nil {
		return nil, err
	}
	if err := a.runtime.Update(ctx, dir, c.id, file); err != nil {
		return nil, fmt.Errorf("update container %q: %w", c.id, err)
	}
	if r := resources.CPU; r != nil && r.Quota != nil && *r.Quota < 0 {
		if err := cgroup.Unthrottle(c.cgroup()); err != nil { // crun leaves the quota as it is
			return nil, fmt.Errorf("update container %q: %w", c.id, err)
		}
	}
	return &api.UpdateContainerResponse{}, nil
}

// UpdateSandbox sets the pod's limits and takes added processors into use.
func (a *Agent) UpdateSandbox(ctx context.Context, req *api.UpdateSandboxRequest) (*api.UpdateSandboxResponse, error) {
	resources, err := parseResources(req.Resources)
	if err != nil {
		return nil, err
	}
	online, err := processors.Online(ctx, int(req.Cpus))
	if err != nil {
		return nil, fmt.Errorf("take processors into use: %w", err)
	}
	if err := makeRoom(boot.PodCgroup, resources); err != nil {
		return nil, fmt.Errorf("limits of the pod: %w", err)
	}
	if err := cgroup.Limit(boot.PodCgroup, resources); err != nil {
		return nil, fmt.Errorf("limits of the pod: %w", err)
	}
	return &api.UpdateSandboxResponse{Cpus: uint32(online)}, nil
}

func parseResources(raw []byte) (*specs.LinuxResources, error) {
	resources := &specs.LinuxResources{}
	if err := json.Unmarshal(raw, resources); err != nil {
		return nil, invalid("resources: %v", err)
	}
	resources.Devices = nil
	return resources, nil
}

// makeRoom has a group's memory fit under a limit that is about to be set: the kernel would kill to enforce it.
func makeRoom(dir string, r *specs.LinuxResources) error {
	if r.Memory == nil || r.Memory.Limit == nil || *r.Memory.Limit <= 0 {
		return nil
	}
	err := cgroup.Reclaim(dir, uint64(*r.Memory.Limit))
	if errors.Is(err, cgroup.ErrInUse) {
		return wrongState("%v", err)
	}
	return err
}
