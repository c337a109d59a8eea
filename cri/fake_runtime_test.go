package cri

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox"
)

// fakeRuntime is a podsandbox.Runtime in memory. The hooks stand for guests.
type fakeRuntime struct {
	mu         sync.Mutex
	calls      int // of methods that change something or ask a guest
	next       int
	sandboxes  map[string]*podsandbox.SandboxStatus
	containers map[string]*podsandbox.ContainerStatus
	subs       []chan podsandbox.Event
	status     error
	fail       error // what every change answers

	exec         func(ctx context.Context, cmd []string, s podsandbox.Streams) (int32, error)
	execSync     func(ctx context.Context, cmd []string, timeout time.Duration) ([]byte, []byte, int32, error)
	attach       func(ctx context.Context, s podsandbox.Streams) error
	portForward  func(ctx context.Context, port uint16, stream io.ReadWriteCloser) error
	sandboxStats func(ctx context.Context, id string) (*podsandbox.SandboxStats, error)
	stopGrace    time.Duration
	updated      podsandbox.Resources
	updatedPod   podsandbox.PodResources
}

func newFakeRuntime() *fakeRuntime {
	return &fakeRuntime{
		sandboxes:  map[string]*podsandbox.SandboxStatus{},
		containers: map[string]*podsandbox.ContainerStatus{},
	}
}

func (f *fakeRuntime) change() error {
	f.calls++
	return f.fail
}

func (f *fakeRuntime) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *fakeRuntime) newID() string {
	f.next++
	return fmt.Sprintf("%04x%060x", f.next, f.next)
}

func (f *fakeRuntime) RunSandbox(_ context.Context, cfg podsandbox.SandboxConfig) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.change(); err != nil {
		return "", err
	}
	id := f.newID()
	f.sandboxes[id] = &podsandbox.SandboxStatus{ID: id, State: podsandbox.SandboxReady, Created: time.Now(), Config: cfg}
	return id, nil
}

func (f *fakeRuntime) StopSandbox(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sb := f.sandboxes[id]; sb != nil {
		sb.State = podsandbox.SandboxNotReady
	}
	return f.change()
}

func (f *fakeRuntime) RemoveSandbox(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sandboxes, id)
	return f.change()
}

func lookup[T any](m map[string]*T, id string) (T, error) {
	var zero T
	var found *T
	for k, v := range m {
		if strings.HasPrefix(k, id) {
			if found != nil {
				return zero, fmt.Errorf("id %q is ambiguous: %w", id, podsandbox.ErrInvalid)
			}
			found = v
		}
	}
	if found == nil {
		return zero, fmt.Errorf("%q: %w", id, podsandbox.ErrNotFound)
	}
	return *found, nil
}

func (f *fakeRuntime) UpdateSandbox(_ context.Context, id string, r podsandbox.PodResources) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updatedPod = r
	if sb := f.sandboxes[id]; sb != nil && r.Resources != nil {
		sb.Config.Resources = *r.Resources
	}
	return f.change()
}

func (f *fakeRuntime) Sandbox(id string) (podsandbox.SandboxStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return lookup(f.sandboxes, id)
}

func (f *fakeRuntime) Sandboxes() []podsandbox.SandboxStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]podsandbox.SandboxStatus, 0, len(f.sandboxes))
	for _, s := range f.sandboxes {
		list = append(list, *s)
	}
	return list
}

func (f *fakeRuntime) CreateContainer(_ context.Context, sandboxID string, cfg podsandbox.ContainerConfig) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.change(); err != nil {
		return "", err
	}
	id := f.newID()
	f.containers[id] = &podsandbox.ContainerStatus{
		ID: id, SandboxID: sandboxID, State: podsandbox.ContainerCreated, Created: time.Now(), Config: cfg,
		ImageID: "sha256:aa", ImageRef: "example.org/app@sha256:bb",
		User: &podsandbox.User{UID: 1000, GID: 1000, Groups: []int64{1000}},
	}
	return id, nil
}

func (f *fakeRuntime) StartContainer(_ context.Context, id string) error {
	return f.setState(id, podsandbox.ContainerRunning)
}

func (f *fakeRuntime) setState(id string, st podsandbox.ContainerStateKind) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[id]; c != nil {
		c.State = st
	}
	return f.change()
}

func (f *fakeRuntime) StopContainer(_ context.Context, id string, grace time.Duration) error {
	f.mu.Lock()
	f.stopGrace = grace
	f.mu.Unlock()
	return f.setState(id, podsandbox.ContainerExited)
}

func (f *fakeRuntime) RemoveContainer(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.containers, id)
	return f.change()
}

func (f *fakeRuntime) Container(id string) (podsandbox.ContainerStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return lookup(f.containers, id)
}

func (f *fakeRuntime) Containers() []podsandbox.ContainerStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]podsandbox.ContainerStatus, 0, len(f.containers))
	for _, c := range f.containers {
		list = append(list, *c)
	}
	return list
}

func (f *fakeRuntime) UpdateContainer(_ context.Context, id string, r podsandbox.Resources) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updated = r
	return f.change()
}

func (f *fakeRuntime) ReopenLog(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.change()
}

func (f *fakeRuntime) ExecSync(ctx context.Context, _ string, cmd []string, timeout time.Duration) ([]byte, []byte, int32, error) {
	f.mu.Lock()
	err, hook := f.change(), f.execSync
	f.mu.Unlock()
	if err != nil || hook == nil {
		return nil, nil, 0, err
	}
	return hook(ctx, cmd, timeout)
}

func (f *fakeRuntime) Exec(ctx context.Context, _ string, cmd []string, s podsandbox.Streams) (int32, error) {
	f.mu.Lock()
	err, hook := f.change(), f.exec
	f.mu.Unlock()
	if err != nil || hook == nil {
		return 0, err
	}
	return hook(ctx, cmd, s)
}

func (f *fakeRuntime) Attach(ctx context.Context, _ string, s podsandbox.Streams) error {
	f.mu.Lock()
	err, hook := f.change(), f.attach
	f.mu.Unlock()
	if err != nil || hook == nil {
		return err
	}
	return hook(ctx, s)
}

func (f *fakeRuntime) PortForward(ctx context.Context, _ string, port uint16, stream io.ReadWriteCloser) error {
	f.mu.Lock()
	err, hook := f.change(), f.portForward
	f.mu.Unlock()
	if err != nil || hook == nil {
		return err
	}
	return hook(ctx, port, stream)
}

func (f *fakeRuntime) ContainerStats(ctx context.Context, id string) (*guestapi.ContainerStats, error) {
	c, err := f.Container(id)
	if err != nil {
		return nil, err
	}
	st, err := f.SandboxStats(ctx, c.SandboxID, podsandbox.StatsUsage)
	if err != nil {
		return nil, err
	}
	for _, cs := range st.Containers {
		if cs.Id == id {
			return cs, nil
		}
	}
	return nil, podsandbox.ErrState
}

func (f *fakeRuntime) SandboxStats(ctx context.Context, id string, _ podsandbox.StatsDetail) (*podsandbox.SandboxStats, error) {
	f.mu.Lock()
	err, hook := f.change(), f.sandboxStats
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if hook == nil {
		return &podsandbox.SandboxStats{}, nil
	}
	return hook(ctx, id)
}

func (f *fakeRuntime) Subscribe(ctx context.Context) <-chan podsandbox.Event {
	ch := make(chan podsandbox.Event, 16)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, ch)
	return ch
}

func (f *fakeRuntime) publish(e podsandbox.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ch := range f.subs {
		ch <- e
	}
}

func (f *fakeRuntime) Status() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}
