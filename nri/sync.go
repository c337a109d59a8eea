package nri

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox"
)

// synchronize tells plugins that join what the others were told. NRI has it alone: no hook is under way.
func (a *Adapter) synchronize(ctx context.Context, tell adaptation.SyncCB) error {
	if a.starting { // within Start, which holds mu
		pods, containers := a.ledger.tell(a.runtime)
		updates, err := tell(ctx, pods, containers)
		a.afterSync = append(a.afterSync, updates...)
		return err
	}
	updates, err := a.tellLedger(ctx, tell)
	if err != nil {
		return err
	}
	a.apply(ctx, updates)
	return nil
}

func (a *Adapter) tellLedger(ctx context.Context, tell adaptation.SyncCB) ([]*api.ContainerUpdate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pods, containers := a.ledger.tell(a.runtime)
	return tell(ctx, pods, containers)
}

// update does what a plugin asks for of its own accord, and returns what failed.
func (a *Adapter) update(ctx context.Context, updates []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) {
	if failed := a.apply(ctx, updates); len(failed) > 0 {
		return failed, fmt.Errorf("%d of %d updates failed; the runtime's log says why", len(failed), len(updates))
	}
	return nil, nil
}

// apply changes the limits of containers. Those that are gone are no failure, as with containerd.
func (a *Adapter) apply(ctx context.Context, updates []*api.ContainerUpdate) (failed []*api.ContainerUpdate) {
	for _, u := range updates {
		err := a.setLimits(ctx, u)
		if err == nil || errors.Is(err, podsandbox.ErrNotFound) {
			continue
		}
		klog.FromContext(ctx).Error(err, "An update that an NRI plugin asked for failed", "container", u.GetContainerId())
		if !u.GetIgnoreFailure() {
			failed = append(failed, u)
		}
	}
	return failed
}

func (a *Adapter) setLimits(ctx context.Context, u *api.ContainerUpdate) error {
	c, err := a.runtime.Container(u.GetContainerId())
	if err != nil {
		return err
	}
	var r podsandbox.Resources
	if err := limits("update", u.GetLinux().GetResources(), &r); err != nil {
		return err
	}
	return a.runtime.SetLimits(ctx, c.ID, r)
}
