package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"
)

// Annotations of containers, and what the plugin does for them:
//
//	nri.test/fail: STEP              fails RunPodSandbox, CreateContainer, StartContainer or UpdateContainer
//	nri.test/env: KEY=VALUE          sets a variable
//	nri.test/args: A B C             replaces the arguments
//	nri.test/mount: SOURCE:TARGET    binds a host path, read-only
//	nri.test/annotation: KEY=VALUE   sets an annotation
//	nri.test/rlimit-nofile: N        sets a limit
//	nri.test/memory, pids: N         limits memory (bytes) and processes
//	nri.test/oom-score-adj: N        sets the OOM score
//	nri.test/sysctl: KEY=VALUE       sets a kernel parameter
//	nri.test/start-hook: PATH        adds a startContainer hook
//	nri.test/poststop-hook: PATH     adds a poststop hook
//	nri.test/update-memory: N        replaces the limit of an update
//	nri.test/unsolicited-memory: N   limits memory once the container runs, without being asked
const prefix = "nri.test/"

// CreateContainer adjusts a container by its annotations.
func (p *plugin) CreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	p.record(record{Event: "CreateContainer", Pod: pod, Container: c})
	adjust := &api.ContainerAdjustment{}
	for name, value := range c.Annotations {
		if what, ours := strings.CutPrefix(name, prefix); ours {
			if err := adjustOne(adjust, what, value); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return adjust, nil, failing("CreateContainer", c.Annotations)
}

func adjustOne(adjust *api.ContainerAdjustment, what, value string) error {
	key, val, _ := strings.Cut(value, "=")
	number, notNumber := strconv.ParseInt(value, 10, 64)
	switch what {
	case "env":
		adjust.AddEnv(key, val)
	case "annotation":
		adjust.AddAnnotation(key, val)
	case "sysctl":
		adjust.SetLinuxSysctl(key, val)
	case "args":
		adjust.SetArgs(strings.Fields(value))
	case "mount":
		source, target, _ := strings.Cut(value, ":")
		adjust.AddMount(&api.Mount{Type: "bind", Source: source, Destination: target, Options: []string{"rbind", "ro"}})
	case "start-hook":
		adjust.AddHooks(&api.Hooks{StartContainer: []*api.Hook{{Path: value, Args: []string{value}}}})
	case "poststop-hook":
		adjust.AddHooks(&api.Hooks{Poststop: []*api.Hook{{Path: value}}})
	case "rlimit-nofile":
		adjust.AddRlimit("RLIMIT_NOFILE", uint64(number), uint64(number))
		return notNumber
	case "memory":
		adjust.SetLinuxMemoryLimit(number)
		return notNumber
	case "pids":
		adjust.SetLinuxPidLimits(number)
		return notNumber
	case "oom-score-adj":
		score := int(number)
		adjust.SetLinuxOomScoreAdj(&score)
		return notNumber
	}
	return nil
}

// UpdateContainer replaces the memory limit if an annotation says so.
func (p *plugin) UpdateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container, r *api.LinuxResources) ([]*api.ContainerUpdate, error) {
	p.record(record{Event: "UpdateContainer", Pod: pod, Container: c, Resources: r})
	if err := failing("UpdateContainer", c.Annotations); err != nil {
		return nil, err
	}
	return p.memoryUpdate(c, "update-memory")
}

// PostStartContainer limits memory if an annotation says so: by a request of its own, within the event.
func (p *plugin) PostStartContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	p.record(record{Event: "PostStartContainer", Pod: pod, Container: c})
	updates, err := p.memoryUpdate(c, "unsolicited-memory")
	if err != nil || updates == nil {
		return err
	}
	if failed, err := p.stub.UpdateContainers(updates); err != nil {
		return fmt.Errorf("%d updates failed: %w", len(failed), err)
	}
	p.record(record{Event: "Updated", Container: c})
	return nil
}

func (p *plugin) memoryUpdate(c *api.Container, annotation string) ([]*api.ContainerUpdate, error) {
	value := c.Annotations[prefix+annotation]
	if value == "" {
		return nil, nil
	}
	bytes, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return nil, err
	}
	update := &api.ContainerUpdate{}
	update.SetContainerId(c.Id)
	update.SetLinuxMemoryLimit(bytes)
	return []*api.ContainerUpdate{update}, nil
}
