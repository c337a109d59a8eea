package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// attachLayers leases the image's layers and attaches them; containers of a pod share them.
func (k *containerMake) attachLayers(ctx context.Context) (err error) {
	m, c := k.m, k.c
	k.undo.push("image lease", func(ctx context.Context) error { return m.deps.Images.ReleaseLayers(ctx, c.id) })
	k.undo.push("disks and shares", func(ctx context.Context) error { return m.releaseUses(ctx, c) })
	k.layers, k.bottom, err = k.leaseLayers(ctx, k.image.ID)
	return err
}

// leaseLayers leases an image's layers to the container and attaches them in parallel.
// It tells where on the host the lowest is.
func (k *containerMake) leaseLayers(ctx context.Context, imageID string) (_ []*guestapi.Layer, bottom string, _ error) {
	s, c := k.s, k.c
	layers, err := k.m.deps.Images.Layers(ctx, imageID, c.id)
	if err != nil {
		return nil, "", fmt.Errorf("image layers: %w", err)
	}
	if len(layers) > 0 {
		bottom = layers[0].Path
	}
	out := make([]*guestapi.Layer, len(layers))
	uses := make([]*diskUse, len(layers))
	parts, partCtx := errgroup.WithContext(ctx)
	for i, layer := range layers {
		parts.Go(func() error {
			disk := vm.Disk{Path: layer.Path, ReadOnly: true}
			if layer.FSType == "" {
				disk.Content = vm.LayerContent
			}
			addr, err := s.acquireDisk(partCtx, disk, nil)
			if err != nil {
				return fmt.Errorf("attach layer %s: %w", layer.ID, err)
			}
			uses[i] = &diskUse{Path: diskKey(disk), Address: addr}
			out[i] = &guestapi.Layer{Disk: guestDisk(addr), FsType: layer.FSType}
			return nil
		})
	}
	err = parts.Wait()
	c.commit.Lock()
	defer c.commit.Unlock()
	for _, use := range uses {
		if use != nil {
			c.record.Disks = append(c.record.Disks, *use)
		}
	}
	return out, bottom, err
}

// diskKey tells attachments apart: of a file or folder that is shown as it is there may be one of each access.
func diskKey(d vm.Disk) string {
	if d.Content == vm.FileContent && d.ReadOnly {
		return d.Path + "|ro"
	}
	return d.Path
}

func guestDisk(a vm.DiskAddress) *guestapi.DiskAddress {
	return &guestapi.DiskAddress{Controller: a.Controller, Lun: a.LUN}
}

// acquireDisk attaches a disk for one more user. prepare, if set, runs before it is attached.
func (s *sandbox) acquireDisk(ctx context.Context, disk vm.Disk, prepare func(context.Context) error) (vm.DiskAddress, error) {
	return s.disks.acquire(ctx, diskKey(disk), func(ctx context.Context) (vm.DiskAddress, error) {
		if prepare != nil {
			if err := prepare(ctx); err != nil {
				return vm.DiskAddress{}, err
			}
		}
		addr, err := s.vm.AttachDisk(ctx, disk)
		if !errors.Is(err, vm.ErrExists) || !disk.ReadOnly || disk.Content != vm.DiskContent {
			return addr, err
		}
		// An earlier process attached it and ended before it could note where:
		// under another name it can be attached once more.
		alias := filepath.Join(s.dir, "disk-"+newID()[:16])
		if err := nameAgain(disk.Path, alias); err != nil {
			return addr, err
		}
		disk.Path = alias
		return s.vm.AttachDisk(ctx, disk)
	})
}

// releaseDisks lets go of a container's disks. One that cannot be detached
// stays attached, unused, until the VM ends: no reason to keep the container.
func (s *sandbox) releaseDisks(ctx context.Context, uses []diskUse) {
	if !s.vmRuns() {
		return
	}
	var parts errgroup.Group
	for _, use := range uses {
		parts.Go(func() error {
			err := s.disks.release(ctx, use.Path, s.detachDisk)
			if err != nil && s.vmRuns() {
				klog.FromContext(ctx).Error(err, "Disk stays attached", "sandbox", s.id, "path", use.Path)
			}
			return nil
		})
	}
	_ = parts.Wait() // what failed was logged
}

func (s *sandbox) detachDisk(ctx context.Context, addr vm.DiskAddress) error {
	err := s.vm.DetachDisk(ctx, addr)
	if errors.Is(err, vm.ErrNotFound) {
		return nil
	}
	return err
}

// releaseUses lets go of all that a container uses of its VM. First it is stored
// that it does not, so that a restart never detaches what has come to the same address since.
func (m *Manager) releaseUses(ctx context.Context, c *container) error {
	var was containerRecord
	_, err := m.updateContainer(c, func(r *containerRecord) bool {
		was = *r
		r.Disks, r.Shares, r.Outward = nil, nil, nil
		return len(was.Disks)+len(was.Shares) > 0
	})
	if err != nil {
		return err
	}
	c.sandbox.releaseShares(ctx, was.Shares)
	c.sandbox.releaseDisks(ctx, was.Disks)
	return nil
}
