package podsandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// successor starts a second Manager on a copy of what the first has stored so
// far, as if the first had been killed just now.
func (w *world) successor() *world {
	w.t.Helper()
	next := &world{t: w.t, dir: w.t.TempDir(), vms: w.vms, network: w.network, images: w.images, shares: w.shares, pool: w.pool,
		fail: map[string]error{}, hooks: map[string]func(){}, agents: w.agents}
	if err := os.CopyFS(next.dir, os.DirFS(w.dir)); err != nil {
		w.t.Fatal(err)
	}
	next.start()
	w.t.Cleanup(func() { next.m.Close() })
	return next
}

// TestKilledAtAnyStepOfRunSandbox: the next process removes all of a half-made sandbox.
func TestKilledAtAnyStepOfRunSandbox(t *testing.T) {
	for _, step := range []string{"vm", "network", "Scratch", "Shares.Start", "Personalize", "ConfigureSandbox"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			ctx, kill := context.WithCancel(t.Context())
			var once sync.Once
			took := make(chan *world, 1)
			w.onStep(step, func() {
				once.Do(func() {
					took <- w.successor()
					kill()
				})
			})
			if _, err := w.m.RunSandbox(ctx, w.sandboxConfig("a")); err == nil {
				t.Fatal("the killed process finished")
			}
			next := <-took
			next.nothingLeft()
			w.onStep(step, nil)
			next.run("a")
		})
	}
}

// TestKilledAtAnyStepOfCreateContainer: the next process removes all of a
// half-made container, and can make it again with the same disks.
func TestKilledAtAnyStepOfCreateContainer(t *testing.T) {
	for _, step := range []string{"Layers", "Shares.Add", "AttachShare", "CreateContainer", "CreateContainer, answer"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			pod := w.run("a")
			cfg := containerConfig("c")
			cfg.Mounts = []Mount{{ContainerPath: "/x", HostPath: filepath.Join(w.dir, "x")}}
			var once sync.Once
			done := make(chan struct{})
			w.onStep(step, func() {
				once.Do(func() {
					defer close(done)
					next := w.successor()
					w.onStep(step, nil)
					if s, err := next.m.Sandbox(pod); err != nil || s.State != SandboxReady || len(next.m.Containers()) != 0 {
						t.Errorf("after the restart: %v, %v, %v", s.State, err, next.m.Containers())
					}
					id, err := next.m.CreateContainer(t.Context(), pod, cfg)
					if err != nil {
						t.Error(err)
						return
					}
					if err := next.m.StartContainer(t.Context(), id); err != nil {
						t.Error(err)
					}
					if err := next.m.RemoveSandbox(t.Context(), pod); err != nil {
						t.Error(err)
					}
					next.nothingLeft()
					w.setFail(step, errors.New("killed"))
				})
			})
			if _, err := w.m.CreateContainer(t.Context(), pod, cfg); err == nil {
				t.Fatal("the killed process finished")
			}
			<-done
		})
	}
}
