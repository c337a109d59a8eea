package nri

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"

	"github.com/paddock-run/paddock/podsandbox"
)

// runtime is what the adapter acts on: what was made, and what was done to it.
type runtime struct {
	mu      sync.Mutex
	pods    map[string]podsandbox.SandboxStatus
	ctrs    map[string]podsandbox.ContainerStatus
	limits  map[string]podsandbox.Resources
	stopped chan string
}

func newRuntime() *runtime {
	return &runtime{pods: map[string]podsandbox.SandboxStatus{}, ctrs: map[string]podsandbox.ContainerStatus{},
		limits: map[string]podsandbox.Resources{}, stopped: make(chan string, 8)}
}

func (r *runtime) Sandboxes() (all []podsandbox.SandboxStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pods {
		all = append(all, p)
	}
	return all
}

func (r *runtime) Containers() (all []podsandbox.ContainerStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.ctrs {
		all = append(all, c)
	}
	return all
}

func (r *runtime) Container(id string) (podsandbox.ContainerStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.ctrs[id]
	if !ok {
		return c, podsandbox.ErrNotFound
	}
	return c, nil
}

func (r *runtime) SetLimits(_ context.Context, id string, l podsandbox.Resources) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.MemoryLimit == 13 {
		return errors.New("an unlucky number")
	}
	r.limits[id] = l
	return nil
}

func (r *runtime) StopContainer(_ context.Context, id string, _ time.Duration) error {
	r.stopped <- id
	return nil
}

// started is an adapter that plugins can connect to.
func started(t *testing.T, rt Runtime) (a *Adapter, socket string) {
	t.Helper()
	dir := t.TempDir()
	socket = filepath.Join(dir, "n")
	if goruntime.GOOS == "windows" {
		t.Skip("plugins connect by Unix sockets: not on Windows hosts")
	}
	a, err := New(Config{Version: "1", Socket: socket, PluginDir: filepath.Join(dir, "plugins"), PluginConfigDir: dir,
		RegistrationTimeout: 20 * time.Second, RequestTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(rt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, socket
}

// view is a plugin that keeps account of what it is told, and notes what cannot follow from what it was told before.
type view struct {
	mu     sync.Mutex
	pods   map[string]bool // stopped
	ctrs   map[string]api.ContainerState
	wrong  []string
	synced chan struct{}
}

// join connects a plugin and waits until it is told what there is. leave ends it.
func join(t *testing.T, socket string, plugin any, synced <-chan struct{}, options ...stub.Option) (s stub.Stub, leave func()) {
	t.Helper()
	s, err := stub.New(plugin, append(options, stub.WithPluginName("test"), stub.WithPluginIdx("10"), stub.WithSocketPath(socket), stub.WithLogger(logger{}),
		stub.WithOnClose(func() {}))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-synced:
	case <-time.After(30 * time.Second):
		t.Fatal("not synchronized")
	}
	return s, s.Stop
}

func newView() *view { return &view{synced: make(chan struct{})} }

func (v *view) bad(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

func (v *view) Synchronize(_ context.Context, pods []*api.PodSandbox, ctrs []*api.Container) ([]*api.ContainerUpdate, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pods, v.ctrs = map[string]bool{}, map[string]api.ContainerState{}
	for _, p := range pods {
		v.pods[p.Id] = false
	}
	for _, c := range ctrs {
		v.ctrs[c.Id] = c.State
		if _, ok := v.pods[c.PodSandboxId]; !ok {
			v.bad("synchronized with container %s of unknown pod", c.Id)
		}
	}
	close(v.synced)
	return nil, nil
}

func (v *view) RunPodSandbox(_ context.Context, p *api.PodSandbox) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.pods[p.Id]; ok {
		v.bad("pod %s is run, and was known", p.Id)
	}
	v.pods[p.Id] = false
	return nil
}

func (v *view) StopPodSandbox(_ context.Context, p *api.PodSandbox) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if stopped, ok := v.pods[p.Id]; !ok || stopped {
		v.bad("pod %s is stopped, known %v, stopped %v", p.Id, ok, stopped)
	}
	v.pods[p.Id] = true
	return nil
}

func (v *view) RemovePodSandbox(_ context.Context, p *api.PodSandbox) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.pods[p.Id]; !ok {
		v.bad("pod %s is removed, and was not known", p.Id)
	}
	delete(v.pods, p.Id)
	return nil
}

func (v *view) CreateContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.ctrs[c.Id]; ok {
		v.bad("container %s is created, and was known", c.Id)
	}
	if _, ok := v.pods[c.PodSandboxId]; !ok {
		v.bad("container %s is created in a pod that was not known", c.Id)
	}
	v.ctrs[c.Id] = c.State
	return nil, nil, nil
}

// step notes a step of a container that must be known and not have ended.
func (v *view) step(event string, c *api.Container, to api.ContainerState) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if was, ok := v.ctrs[c.Id]; !ok || was == api.ContainerState_CONTAINER_STOPPED {
		v.bad("%s of container %s: known %v, %v", event, c.Id, ok, was)
	}
	v.ctrs[c.Id] = to
	return nil
}

func (v *view) PostCreateContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return v.step("PostCreate", c, api.ContainerState_CONTAINER_CREATED)
}

func (v *view) StartContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return v.step("Start", c, api.ContainerState_CONTAINER_CREATED)
}

func (v *view) PostStartContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return v.step("PostStart", c, api.ContainerState_CONTAINER_RUNNING)
}

func (v *view) StopContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) ([]*api.ContainerUpdate, error) {
	return nil, v.step("Stop", c, api.ContainerState_CONTAINER_STOPPED)
}

// RemoveContainer may be of one that had ended before this plugin came.
func (v *view) RemoveContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if was, ok := v.ctrs[c.Id]; ok && was != api.ContainerState_CONTAINER_STOPPED {
		v.bad("container %s is removed, and was %v", c.Id, was)
	}
	delete(v.ctrs, c.Id)
	return nil
}
