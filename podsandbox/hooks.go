package podsandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// Hooks hear of the life of sandboxes and containers, each step once and in
// order; some may change or refuse it. What a status points to is changed by
// neither side, only replaced. A hook for a step that is over cannot fail it.
// Package nri implements them with plugins.
//
// UpdateSandbox and SandboxUpdated go around a change of a sandbox's resources.
type Hooks interface {
	// RunSandbox: it is made, and not seen yet. An error takes it back, with RemoveSandbox.
	RunSandbox(ctx context.Context, s *SandboxStatus) error
	UpdateSandbox(ctx context.Context, s *SandboxStatus, overhead, resources Resources) error
	SandboxUpdated(ctx context.Context, s *SandboxStatus)
	// StopSandbox may be called again for a stopped one.
	StopSandbox(ctx context.Context, s *SandboxStatus)
	RemoveSandbox(ctx context.Context, s *SandboxStatus)

	// CreateContainer may replace Config's Mounts and Resources, and Spec, whose limits follow from
	// Config. An error takes the container back, with RemoveContainer.
	CreateContainer(ctx context.Context, c *ContainerStatus) error
	ContainerCreated(ctx context.Context, c *ContainerStatus)
	// StartContainer: an error ends the container with StartError.
	StartContainer(ctx context.Context, c *ContainerStatus) error
	ContainerStarted(ctx context.Context, c *ContainerStatus)
	// UpdateContainer may change r.
	UpdateContainer(ctx context.Context, c *ContainerStatus, r *Resources) error
	ContainerUpdated(ctx context.Context, c *ContainerStatus)
	// StopContainer: it has ended. It may be called again.
	StopContainer(ctx context.Context, c *ContainerStatus)
	RemoveContainer(ctx context.Context, c *ContainerStatus)
}

// noHooks are the hooks of a Manager that was given none.
type noHooks struct{}

func (noHooks) RunSandbox(context.Context, *SandboxStatus) error { return nil }
func (noHooks) UpdateSandbox(context.Context, *SandboxStatus, Resources, Resources) error {
	return nil
}
func (noHooks) SandboxUpdated(context.Context, *SandboxStatus)                      {}
func (noHooks) StopSandbox(context.Context, *SandboxStatus)                         {}
func (noHooks) RemoveSandbox(context.Context, *SandboxStatus)                       {}
func (noHooks) CreateContainer(context.Context, *ContainerStatus) error             { return nil }
func (noHooks) ContainerCreated(context.Context, *ContainerStatus)                  {}
func (noHooks) StartContainer(context.Context, *ContainerStatus) error              { return nil }
func (noHooks) ContainerStarted(context.Context, *ContainerStatus)                  {}
func (noHooks) UpdateContainer(context.Context, *ContainerStatus, *Resources) error { return nil }
func (noHooks) ContainerUpdated(context.Context, *ContainerStatus)                  {}
func (noHooks) StopContainer(context.Context, *ContainerStatus)                     {}
func (noHooks) RemoveContainer(context.Context, *ContainerStatus)                   {}

// consult asks the hooks about a sandbox that is complete but for being seen.
func (r *sandboxRun) consult(ctx context.Context) error {
	st := *r.s.status.Load()
	st.State, st.Network, st.Kernel = SandboxReady, r.attachment, r.base.kernel
	r.undo.push("plugins", func(ctx context.Context) error { r.m.hooks.RemoveSandbox(ctx, &st); return nil })
	return r.m.hooks.RunSandbox(ctx, &st)
}

// consult asks the hooks about a container that is going to be made, and takes over what they change.
func (k *containerMake) consult(ctx context.Context, st *ContainerStatus) error {
	k.undo.push("plugins", func(ctx context.Context) error { k.m.hooks.RemoveContainer(ctx, st); return nil })
	if err := k.m.hooks.CreateContainer(ctx, st); err != nil {
		return err
	}
	k.cfg = st.Config
	k.s.claim(k.c.id, k.cfg.Resources)
	st.Spec = withLimits(st.Spec, k.cfg.Resources)
	return nil
}

// encodeSpec returns the specification for the guest, and leaves the status one
// without what is large: the system call filter.
func encodeSpec(st *ContainerStatus) ([]byte, error) {
	raw, err := json.Marshal(st.Spec)
	if st.Spec.Linux != nil {
		kept, linux := *st.Spec, *st.Spec.Linux
		linux.Seccomp = nil
		kept.Linux = &linux
		st.Spec = &kept
	}
	return raw, err
}

// withLimits is a copy of a specification with these limits. Rules for devices are none: they stay.
func withLimits(spec *specs.Spec, r Resources) *specs.Spec {
	if spec == nil || spec.Linux == nil || spec.Process == nil {
		return spec
	}
	next, linux, process, oom := *spec, *spec.Linux, *spec.Process, int(r.OOMScoreAdj)
	linux.Resources = ocispec.LinuxResources(specResources(r))
	if old := spec.Linux.Resources; old != nil {
		linux.Resources.Devices = old.Devices
	}
	process.OOMScoreAdj = &oom
	next.Linux, next.Process = &linux, &process
	return &next
}

// tellTime bounds how long a call waits to tell of an end; that is told in the background too.
const tellTime = 2 * time.Second

// tellStopped tells the hooks that a container has ended, after what they are still to hear of before it.
func (m *Manager) tellStopped(ctx context.Context, c *container) {
	if c.op.lock(ctx) != nil {
		return
	}
	defer c.op.unlock()
	if _, err := m.container(c.id); err == nil { // else its removal was told, and with it its end
		m.hooks.StopContainer(ctx, c.status.Load())
	}
}

// tellSandboxStopped tells the hooks of a sandbox whose containers were killed, while its network is there.
func (m *Manager) tellSandboxStopped(ctx context.Context, s *sandbox) {
	telling, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	for _, c := range s.allContainers() {
		if c.state() == ContainerExited {
			m.tellStopped(telling, c)
		}
	}
	m.hooks.StopSandbox(ctx, s.status.Load())
}

// SetLimits changes the limits of a container that runs or can. Unlike UpdateContainer it asks no
// hooks, and waits for no other operation on the container but its like: hooks may call it.
func (m *Manager) SetLimits(ctx context.Context, id string, r Resources) error {
	c, err := m.container(id)
	if err != nil {
		return err
	}
	if err := m.setLimits(ctx, c, r); err != nil {
		return fmt.Errorf("update container %s: %w", c.id, err)
	}
	return nil
}
