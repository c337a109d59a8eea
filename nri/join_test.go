package nri

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/paddock-run/paddock/podsandbox"
)

// truth is what there is, kept by those who make it.
type truth struct {
	mu   sync.Mutex
	pods map[string]bool
	ctrs map[string]api.ContainerState
}

var serial atomic.Int64

// live makes a pod and containers and takes them through a part of their lives, as podsandbox does.
func (w *truth) live(ctx context.Context, a *Adapter) {
	pod := &podsandbox.SandboxStatus{ID: fmt.Sprintf("pod%d", serial.Add(1)), Created: time.Now()}
	a.RunSandbox(ctx, pod)
	w.note(func() { w.pods[pod.ID] = false })
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { w.liveContainer(ctx, a, pod.ID) })
	}
	all.Wait()
	if rand.IntN(3) == 0 {
		return
	}
	for id := range w.of(pod.ID) {
		c := &podsandbox.ContainerStatus{ID: id, SandboxID: pod.ID}
		a.RemoveContainer(ctx, c)
		w.note(func() { delete(w.ctrs, id) })
	}
	a.StopSandbox(ctx, pod)
	a.RemoveSandbox(ctx, pod)
	w.note(func() { delete(w.pods, pod.ID) })
}

func (w *truth) liveContainer(ctx context.Context, a *Adapter, pod string) {
	c := &podsandbox.ContainerStatus{ID: fmt.Sprintf("%s-c%d", pod, serial.Add(1)), SandboxID: pod, Created: time.Now()}
	a.CreateContainer(ctx, c)
	if rand.IntN(4) == 0 { // it could not be made
		a.RemoveContainer(ctx, c)
		return
	}
	for i, step := range []func(context.Context, *podsandbox.ContainerStatus){
		a.ContainerCreated,
		func(ctx context.Context, c *podsandbox.ContainerStatus) {
			a.StartContainer(ctx, c)
			a.ContainerStarted(ctx, c)
		},
		func(ctx context.Context, c *podsandbox.ContainerStatus) {
			a.StopContainer(ctx, c)
			a.StopContainer(ctx, c)
		},
	} {
		if i > 0 && rand.IntN(3) == 0 {
			break
		}
		step(ctx, c)
		w.note(func() {
			w.ctrs[c.ID] = []api.ContainerState{api.ContainerState_CONTAINER_CREATED, api.ContainerState_CONTAINER_RUNNING, api.ContainerState_CONTAINER_STOPPED}[i]
		})
	}
}

func (w *truth) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *truth) of(pod string) map[string]api.ContainerState {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]api.ContainerState{}
	for id, state := range w.ctrs {
		if len(id) > len(pod) && id[:len(pod)+1] == pod+"-" {
			out[id] = state
		}
	}
	return out
}

// TestJoinWhilePodsAreMade has plugins connect while pods and containers come and go. What a plugin
// knows in the end, from what it was told first and the events after it, is what there is.
func TestJoinWhilePodsAreMade(t *testing.T) {
	a, socket := started(t, newRuntime())
	w := &truth{pods: map[string]bool{}, ctrs: map[string]api.ContainerState{}}
	first := newView()
	_, leave := join(t, socket, first, first.synced) // hooks wait for it, so that others join in the middle of them
	defer leave()
	waitPlugin(t, a)
	for round := range 60 {
		ctx, stop := context.WithCancel(t.Context())
		var makers sync.WaitGroup
		for range 4 {
			makers.Go(func() {
				for ctx.Err() == nil {
					w.live(context.Background(), a)
				}
			})
		}
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		v := newView()
		_, leave := join(t, socket, v, v.synced)
		time.Sleep(5 * time.Millisecond)
		stop()
		makers.Wait()
		// One that was told what there is and is not on the list yet misses nothing: nothing happens.
		w.check(t, first)
		w.check(t, v)
		leave()
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

// check compares what a plugin knows with what there is.
func (w *truth) check(t *testing.T, v *view) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if diff := cmp.Diff(alive(w.ctrs), alive(v.ctrs)); diff != "" {
		t.Errorf("containers (- there are, + known): %s", diff)
	}
	if diff := cmp.Diff(w.pods, v.pods); diff != "" {
		t.Errorf("pods (- there are, + known): %s", diff)
	}
	if len(v.wrong) > 0 {
		t.Errorf("%d events do not fit, first %s", len(v.wrong), v.wrong[0])
	}
}

func alive(all map[string]api.ContainerState) map[string]api.ContainerState {
	all = maps.Clone(all)
	maps.DeleteFunc(all, func(_ string, s api.ContainerState) bool { return s == api.ContainerState_CONTAINER_STOPPED })
	return all
}
