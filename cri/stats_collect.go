package cri

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox"
)

// statsConcurrency is how many guests are asked at once.
const statsConcurrency = 16

// statsCollector asks guests for their statistics. A guest that does not
// answer in time is left out, and at most one question of each detail per pod is ever open,
// so a stuck guest costs two goroutines however often a list is asked for.
type statsCollector struct {
	runtime podsandbox.Runtime
	timeout time.Duration
	asking  singleflight.Group
	rates   rateCache
}

func newStatsCollector(rt podsandbox.Runtime, timeout time.Duration) *statsCollector {
	return &statsCollector{runtime: rt, timeout: timeout}
}

// forget drops what is kept of a container or sandbox.
func (c *statsCollector) forget(id string) { c.rates.forget(id) }

// podSample is one pod's answer.
type podSample struct {
	sandbox podsandbox.SandboxStatus
	stats   *podsandbox.SandboxStats
}

// pods asks the ready ones of some sandboxes, in their order.
func (c *statsCollector) pods(ctx context.Context, sandboxes []podsandbox.SandboxStatus, detail podsandbox.StatsDetail) ([]podSample, error) {
	samples := make([]podSample, len(sandboxes))
	slots := make(chan struct{}, statsConcurrency)
	var wg sync.WaitGroup
	for i := range sandboxes {
		if sandboxes[i].State != podsandbox.SandboxReady {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return nil, ctx.Err()
		}
		wg.Add(1)
		go func() {
			defer func() { <-slots; wg.Done() }()
			st, err := c.pod(ctx, sandboxes[i].ID, detail)
			if err != nil {
				logNoStats(ctx, sandboxes[i].ID, err)
				return
			}
			samples[i] = podSample{sandboxes[i], st}
		}()
	}
	wg.Wait()
	answered := samples[:0]
	for _, s := range samples {
		if s.stats != nil {
			answered = append(answered, s)
		}
	}
	return answered, ctx.Err()
}

func logNoStats(ctx context.Context, id string, err error) {
	level := 1
	if errors.Is(err, podsandbox.ErrState) || errors.Is(err, podsandbox.ErrNotFound) || ctx.Err() != nil {
		level = 5
	}
	klog.FromContext(ctx).V(level).Info("Statistics of a pod are left out", "sandbox", id, "err", err)
}

// pod asks one pod. The question goes on without the asker if it is in a
// hurry: the next one may find the answer.
func (c *statsCollector) pod(ctx context.Context, id string, detail podsandbox.StatsDetail) (*podsandbox.SandboxStats, error) {
	question := fmt.Sprint(id, detail)
	answer := c.asking.DoChan(question, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		return c.runtime.SandboxStats(ctx, id, detail)
	})
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	select {
	case a := <-answer:
		if a.Err != nil {
			return nil, a.Err
		}
		st, _ := a.Val.(*podsandbox.SandboxStats)
		if st == nil {
			return nil, podsandbox.ErrState
		}
		return st, nil
	case <-timer.C:
		return nil, podsandbox.ErrTimeout
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// container asks for one container.
func (c *statsCollector) container(ctx context.Context, id string) (*guestapi.ContainerStats, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	st, err := c.runtime.ContainerStats(ctx, id)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return nil, podsandbox.ErrState
	}
	return st, nil
}
