package podsandbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder are hooks that note what they hear, and fail or change what a test wants.
type recorder struct {
	mu     sync.Mutex
	heard  []string // step, a space, and the name of the container if it is about one
	fail   string   // the step that fails
	adjust func(*ContainerStatus)
	limits func(*Resources)
}

func (r *recorder) hear(step string, c *ContainerStatus) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c != nil {
		r.heard = append(r.heard, step+" "+c.Config.Meta.Name)
	} else {
		r.heard = append(r.heard, step)
	}
	if r.fail == step {
		return errors.New("a plugin says no")
	}
	return nil
}

func (r *recorder) setFail(step string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = step
}

// take returns what was heard since the last time.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := r.heard
	r.heard = nil
	return heard
}

func (r *recorder) RunSandbox(_ context.Context, s *SandboxStatus) error {
	if s.State != SandboxReady || s.Network == nil {
		return errors.New("it is told of a pod that is not complete")
	}
	return r.hear("run", nil)
}

func (r *recorder) UpdateSandbox(context.Context, *SandboxStatus, Resources, Resources) error {
	return r.hear("update", nil)
}
func (r *recorder) SandboxUpdated(context.Context, *SandboxStatus) { _ = r.hear("updated", nil) }
func (r *recorder) StopSandbox(context.Context, *SandboxStatus)    { _ = r.hear("stop", nil) }
func (r *recorder) RemoveSandbox(context.Context, *SandboxStatus)  { _ = r.hear("remove", nil) }

func (r *recorder) CreateContainer(_ context.Context, c *ContainerStatus) error {
	if r.adjust != nil {
		r.adjust(c)
	}
	return r.hear("create", c)
}
func (r *recorder) ContainerCreated(_ context.Context, c *ContainerStatus) { _ = r.hear("created", c) }
func (r *recorder) StartContainer(_ context.Context, c *ContainerStatus) error {
	return r.hear("start", c)
}
func (r *recorder) ContainerStarted(_ context.Context, c *ContainerStatus) { _ = r.hear("started", c) }

func (r *recorder) UpdateContainer(_ context.Context, c *ContainerStatus, limits *Resources) error {
	if r.limits != nil {
		r.limits(limits)
	}
	return r.hear("update", c)
}
func (r *recorder) ContainerUpdated(_ context.Context, c *ContainerStatus) { _ = r.hear("updated", c) }
func (r *recorder) StopContainer(_ context.Context, c *ContainerStatus)    { _ = r.hear("stopped", c) }
func (r *recorder) RemoveContainer(_ context.Context, c *ContainerStatus)  { _ = r.hear("removed", c) }

func newWorldWithHooks(t *testing.T) (*world, *recorder) {
	w, r := newWorld(t), &recorder{}
	w.plugins = r
	w.restart()
	return w, r
}

// once drops repeats of the end, which may be told again.
func once(heard []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(heard, func(h string) bool {
		again := strings.HasPrefix(h, "stopped") && seen[h]
		seen[h] = true
		return again
	})
}

func TestHooksHearTheLifeOfAPod(t *testing.T) {
	w, r := newWorldWithHooks(t)
	r.adjust = func(c *ContainerStatus) { c.Config.Resources.MemoryLimit = 64 << 20 }
	r.limits = func(l *Resources) { l.MemoryLimit++ }
	s := w.run("pod")
	c := w.started(s, "c")
	if st := w.await(c, ContainerRunning); st.Config.Resources.MemoryLimit != 64<<20 || *st.Spec.Linux.Resources.Memory.Limit != 64<<20 || st.Spec.Linux.Seccomp != nil {
		t.Errorf("adjusted container: %+v %+v", st.Config.Resources, st.Spec.Linux)
	}
	if err := w.m.UpdateContainer(t.Context(), c, Resources{MemoryLimit: 32 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := w.m.SetLimits(t.Context(), c, Resources{PidsLimit: 9}); err != nil { // a plugin's own: nobody is asked
		t.Fatal(err)
	}
	w.restart()
	if st := w.await(c, ContainerRunning); *st.Spec.Linux.Resources.Memory.Limit != 32<<20+1 || *st.Spec.Linux.Resources.Pids.Limit != 9 {
		t.Errorf("limits after a restart: %+v", st.Spec.Linux.Resources)
	}
	for range 2 {
		if err := w.m.StopContainer(t.Context(), c, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.m.RemoveContainer(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.started(s, "d")
	if err := w.m.RemoveSandbox(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	want := []string{"run", "create c", "created c", "start c", "started c", "update c", "updated c", "stopped c", "removed c",
		"create d", "created d", "start d", "started d", "stopped d", "stop", "removed d", "remove"}
	if got := once(r.take()); !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

// TestHooksHearAnEnd: of a container that ends by itself, and of those whose VM does, after all before it.
func TestHooksHearAnEnd(t *testing.T) {
	w, r := newWorldWithHooks(t)
	s := w.run("pod")
	c := w.started(s, "c")
	r.take()
	w.vms.Kill(s[:vmIDLength])
	w.await(c, ContainerExited)
	for range 500 {
		if heard := r.take(); slices.Equal(heard, []string{"stopped c"}) {
			return
		} else if len(heard) > 0 {
			t.Fatalf("heard %v", heard)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the end was not told")
}

func TestFailingHooks(t *testing.T) {
	w, r := newWorldWithHooks(t)
	r.setFail("run")
	if _, err := w.m.RunSandbox(t.Context(), w.sandboxConfig("pod")); err == nil || !strings.Contains(err.Error(), "a plugin says no") {
		t.Errorf("run: error %v", err)
	}
	if got := r.take(); !slices.Equal(got, []string{"run", "remove"}) {
		t.Errorf("heard %v", got)
	}
	w.nothingLeft()
	r.setFail("")
	s := w.run("pod") // its name is free
	r.take()
	r.setFail("create")
	if _, err := w.m.CreateContainer(t.Context(), s, containerConfig("c")); err == nil {
		t.Error("create: no error")
	}
	if got := r.take(); !slices.Equal(got, []string{"create c", "removed c"}) {
		t.Errorf("heard %v", got)
	}
	r.setFail("start")
	c := w.create(s, "c")
	if err := w.m.StartContainer(t.Context(), c); err == nil {
		t.Error("start: no error")
	}
	if st := w.await(c, ContainerExited); st.Reason != reasonStartError {
		t.Errorf("ended with %s", st.Reason)
	}
	r.setFail("update")
	c = w.started(s, "d")
	if err := w.m.UpdateContainer(t.Context(), c, Resources{MemoryLimit: 32 << 20}); err == nil {
		t.Error("update: no error")
	}
	if st := w.await(c, ContainerRunning); st.Config.Resources.MemoryLimit != 0 {
		t.Errorf("a refused update set %d", st.Config.Resources.MemoryLimit)
	}
	if err := w.m.RemoveSandbox(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
}

// TestAdjustmentThatCannotBeMade: what fails after the hooks is told as removed.
func TestAdjustmentThatCannotBeMade(t *testing.T) {
	w, r := newWorldWithHooks(t)
	s := w.run("pod")
	r.take()
	r.adjust = func(c *ContainerStatus) {
		c.Config.Mounts = append(c.Config.Mounts, Mount{ContainerPath: "/x", HostPath: "/does/not/exist"})
	}
	w.setFail("Shares.Add", errors.New("no such file"))
	if _, err := w.m.CreateContainer(t.Context(), s, containerConfig("c")); err == nil {
		t.Error("no error")
	}
	if got := r.take(); !slices.Equal(got, []string{"create c", "removed c"}) {
		t.Errorf("heard %v", got)
	}
	if len(w.m.Containers()) != 0 {
		t.Errorf("containers are left: %v", w.m.Containers())
	}
}
