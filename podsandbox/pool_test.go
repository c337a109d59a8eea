package podsandbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pooled waits until the pool has n bases and returns their sandboxes' ids.
func (w *world) pooled(n int) []string {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		w.m.pool.mu.Lock()
		var ids []string
		for _, b := range w.m.pool.ready {
			ids = append(ids, b.s.id)
		}
		w.m.pool.mu.Unlock()
		if len(ids) == n {
			return ids
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("pool has %d bases, want %d", len(ids), n)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestPoolGivesWhatItMadeAhead(t *testing.T) {
	w := newPoolWorld(t, PoolConfig{Min: 2, Max: 2})
	ready := w.pooled(2)
	if n := len(w.m.Sandboxes()); n != 0 {
		t.Errorf("%d sandboxes to be seen before any was run", n)
	}
	pod := w.run("a")
	if !slices.Contains(ready, pod) {
		t.Errorf("sandbox %s is none of those made ahead: %v", pod, ready)
	}
	s, err := w.m.Sandbox(pod)
	if err != nil || s.State != SandboxReady || s.Config.Meta.Name != "a" || s.Kernel == "" {
		t.Errorf("sandbox %+v, %v", s, err)
	}
	conf := w.agent(pod).Configured()
	first, second := conf.Network.Interfaces[0], conf.Network.Interfaces[1]
	if string(first.GuestMac) != string(s.Network.Interfaces[0].MAC) || string(first.Mac) == string(first.GuestMac) {
		t.Errorf("first interface %v: want to be found by the NIC it was born with and given the pod's address", first)
	}
	if len(second.GuestMac) != 0 || string(second.Mac) != string(s.Network.Interfaces[1].MAC) {
		t.Errorf("second interface %v: want an attached one", second)
	}
	if nics := w.vms.NICs(pod[:vmIDLength]); len(nics) != 1 {
		t.Errorf("attached %v, want the second interface alone", nics)
	}
	w.started(pod, "c")
	next := w.pooled(2)
	if slices.Contains(next, pod) {
		t.Error("a base was given out and kept")
	}
	if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.m.Close()
	w.pool = PoolConfig{}
	w.start()
	w.nothingLeft()
}

func TestPoolGrowsWithDemand(t *testing.T) {
	w := newPoolWorld(t, PoolConfig{Min: 0, Max: 3, MemoryBytes: 8 << 30})
	w.pooled(0)
	for _, name := range []string{"a", "b", "c", "d"} {
		w.run(name)
	}
	w.pooled(3)
}

func TestPoolIsBoundedInMemory(t *testing.T) {
	// A Fake's VM takes its whole size: 512 MiB.
	w := newPoolWorld(t, PoolConfig{Min: 5, Max: 5, MemoryBytes: 1200 << 20})
	w.pooled(2)
	time.Sleep(50 * time.Millisecond)
	w.pooled(2)
}

func TestPoolSkipsAndReplacesWhatEnded(t *testing.T) {
	w := newPoolWorld(t, PoolConfig{Min: 1, Max: 1})
	dead := w.pooled(1)[0]
	w.vms.Kill(dead[:vmIDLength])
	if pod := w.run("a"); pod == dead {
		t.Error("got a VM that had ended")
	}
	if again := w.pooled(1)[0]; again == dead {
		t.Error("still in the pool")
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		ids, err := w.vms.List(t.Context())
		if err == nil && !slices.Contains(ids, dead[:vmIDLength]) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a dead VM is kept: %v, %v", ids, err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestPoolTakesBackWhatANameConflictRefused(t *testing.T) {
	w := newPoolWorld(t, PoolConfig{Min: 1, Max: 1})
	w.run("a")
	ready := w.pooled(1)
	if _, err := w.m.RunSandbox(t.Context(), w.sandboxConfig("a")); !errors.Is(err, ErrExists) {
		t.Fatalf("second sandbox of a name: %v", err)
	}
	if now := w.pooled(1); !slices.Equal(now, ready) {
		t.Errorf("pool had %v, has %v", ready, now)
	}
}

func TestPoolIsAdoptedAfterACrash(t *testing.T) {
	w := newPoolWorld(t, PoolConfig{Min: 2, Max: 2})
	ready := w.pooled(2)
	w.m.pool.cfg.Max = 0 // the killed process does nothing any more
	next := w.successor()
	adopted := next.pooled(2)
	slices.Sort(ready)
	slices.Sort(adopted)
	if !slices.Equal(adopted, ready) {
		t.Errorf("had %v, adopted %v", ready, adopted)
	}
	if pod := next.run("a"); !slices.Contains(ready, pod) {
		t.Errorf("sandbox %s is none of the adopted", pod)
	}
}

// TestPoolKilledAtAnyStep: the next process removes a half-made base, and does
// not adopt one that a pod has been given.
func TestPoolKilledAtAnyStep(t *testing.T) {
	for _, step := range []string{"vm", "Scratch", "Shares.Start", "Personalize", "network", "ConfigureSandbox"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			w.m.Close()
			w.pool = PoolConfig{Min: 1, Max: 1}
			ctx, kill := context.WithCancel(t.Context())
			var once sync.Once
			started, took := make(chan struct{}), make(chan *world, 1)
			w.onStep(step, func() {
				once.Do(func() {
					<-started
					w.pool = PoolConfig{}
					took <- w.successor()
					w.m.end() // and it does nothing more
					kill()
				})
			})
			w.start()
			close(started)
			if step == "network" || step == "ConfigureSandbox" {
				w.pooled(1)
				if _, err := w.m.RunSandbox(ctx, w.sandboxConfig("a")); err == nil {
					t.Fatal("the killed process finished")
				}
			}
			next := <-took
			w.m.Close()
			next.nothingLeft()
		})
	}
}

// TestPoolStandsStill has nothing made ahead while pods and their containers are made.
func TestPoolStandsStill(t *testing.T) {
	for name, c := range map[string]struct {
		runs, containers int
		before           int // pods run just before
		most, rest       time.Duration
	}{
		"idle":                     {},
		"a pod":                    {runs: 1, most: loneTime, rest: restTime},
		"a container":              {containers: 1, most: loneTime, rest: restTime},
		"a pod after others":       {runs: 1, before: 2, most: yieldTime},
		"a container after others": {containers: 1, before: 3, most: yieldTime},
		"pods that wait":           {runs: 3, most: burstTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { standsStill(t, c.before, c.runs, c.containers, c.most, c.rest) })
		})
	}
}

func standsStill(t *testing.T, before, runs, containers int, most, rest time.Duration) {
	p := newPool(&Manager{making: make(chan struct{}, 2)}, PoolConfig{})
	for range before {
		_, end := p.begin()
		end()
	}
	time.Sleep(restTime)
	var ends []func()
	for range runs {
		_, end := p.begin()
		ends = append(ends, end)
	}
	for range containers {
		ends = append(ends, p.makes())
	}
	begin := time.Now()
	p.yield(t.Context())
	if waited := time.Since(begin); waited != most {
		t.Errorf("while they are made the pool stands still for %v, want %v", waited, most)
	}
	time.AfterFunc(time.Millisecond, func() {
		for _, end := range ends {
			end()
		}
	})
	begin = time.Now()
	p.yield(t.Context())
	want := time.Millisecond + rest
	if len(ends) == 0 {
		want = 0
	}
	if waited := time.Since(begin); waited != want {
		t.Errorf("after they were made the pool stands still for %v more, want %v", waited, want)
	}
}
