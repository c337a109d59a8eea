package nri

import (
	"context"
	"fmt"

	"github.com/containerd/nri/pkg/api"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox"
)

// RunSandbox tells plugins of a pod that is complete. One that fails takes it back.
func (a *Adapter) RunSandbox(ctx context.Context, s *podsandbox.SandboxStatus) error {
	defer a.begin()()
	p := &podEntry{status: *s}
	a.ledger.pods[s.ID] = p
	if a.idle() {
		return nil
	}
	return refused("RunPodSandbox", a.nri.RunPodSandbox(ctx, &api.RunPodSandboxRequest{Pod: p.view()}))
}

// UpdateSandbox asks plugins about new resources of a pod.
func (a *Adapter) UpdateSandbox(ctx context.Context, s *podsandbox.SandboxStatus, overhead, resources podsandbox.Resources) error {
	defer a.begin()()
	p := a.ledger.pods[s.ID]
	if p == nil || a.idle() {
		return nil
	}
	p.status = *s
	_, err := a.nri.UpdatePodSandbox(ctx, &api.UpdatePodSandboxRequest{
		Pod: p.view(), OverheadLinuxResources: toNRI(&overhead), LinuxResources: toNRI(&resources),
	})
	return refused("UpdatePodSandbox", err)
}

// SandboxUpdated tells plugins of a pod whose resources were changed.
func (a *Adapter) SandboxUpdated(ctx context.Context, s *podsandbox.SandboxStatus) {
	defer a.begin()()
	p := a.ledger.pods[s.ID]
	if p == nil {
		return
	}
	p.status = *s
	if a.idle() {
		return
	}
	told(ctx, "PostUpdatePodSandbox", s.ID, a.nri.PostUpdatePodSandbox(context.WithoutCancel(ctx), &api.PostUpdatePodSandboxRequest{Pod: p.view()}))
}

// StopSandbox tells plugins of a pod whose containers have ended, while its network is still there.
func (a *Adapter) StopSandbox(ctx context.Context, s *podsandbox.SandboxStatus) {
	defer a.begin()()
	a.stopSandbox(ctx, s)
}

func (a *Adapter) stopSandbox(ctx context.Context, s *podsandbox.SandboxStatus) {
	p := a.ledger.pods[s.ID]
	if p == nil || p.stopped {
		return
	}
	p.status, p.stopped = *s, true
	if a.idle() {
		return
	}
	told(ctx, "StopPodSandbox", s.ID, a.nri.StopPodSandbox(context.WithoutCancel(ctx), &api.StopPodSandboxRequest{Pod: p.view()}))
}

// RemoveSandbox tells plugins of a pod that is gone, or that could not be made after all.
func (a *Adapter) RemoveSandbox(ctx context.Context, s *podsandbox.SandboxStatus) {
	defer a.begin()()
	p := a.ledger.pods[s.ID]
	if p == nil {
		return
	}
	a.stopSandbox(ctx, s)
	p.status = *s
	delete(a.ledger.pods, s.ID)
	if a.idle() {
		return
	}
	told(ctx, "RemovePodSandbox", s.ID, a.nri.RemovePodSandbox(context.WithoutCancel(ctx), &api.RemovePodSandboxRequest{Pod: p.view()}))
}

// refused is the error of a plugin that fails a request.
func refused(request string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("an NRI plugin failed %s: %w", request, err)
}

// told logs that a plugin failed an event, which is too late to change anything.
func told(ctx context.Context, event, id string, err error) {
	if err != nil {
		klog.FromContext(ctx).Error(err, "An NRI plugin failed an event", "event", event, "id", id)
	}
}
