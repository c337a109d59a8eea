package hyperv

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

// AttachDisk implements vm.VM.
func (v *VM) AttachDisk(ctx context.Context, d vm.Disk) (vm.DiskAddress, error) {
	if err := v.running(); err != nil {
		return vm.DiskAddress{}, err
	}
	if err := d.Validate(); err != nil {
		return vm.DiskAddress{}, err
	}
	if d.Content != vm.DiskContent {
		return v.attachShare(ctx, d)
	}
	if st, err := os.Stat(d.Path); err != nil || !st.Mode().IsRegular() {
		return vm.DiskAddress{}, errors.Join(fmt.Errorf("attach disk %s to VM %s: not a file: %w", d.Path, v.state.ID, vm.ErrInvalid), err)
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	a, err := v.attach(ctx, d)
	if err != nil {
		return vm.DiskAddress{}, v.orExited(fmt.Errorf("attach disk %s to VM %s: %w", d.Path, v.state.ID, typed(err)))
	}
	return a, nil
}

func (v *VM) attach(ctx context.Context, d vm.Disk) (vm.DiskAddress, error) {
	if was := v.state.diskOf(d); was != nil {
		if was.Attached {
			return vm.DiskAddress{}, vm.ErrExists
		}
		if err := v.detach(ctx, was); err != nil { // a daemon died attaching it
			return vm.DiskAddress{}, err
		}
	}
	a, free := v.state.freeSlot()
	if !free {
		return a, vm.ErrNoSlots
	}
	entry := &disk{Address: a, Path: d.Path}
	v.state.Disks = append(v.state.Disks, entry)
	if err := v.state.write(v.dir); err != nil {
		v.state.Disks = without(v.state.Disks, entry)
		return a, err
	}
	err := computecore.GrantAccess(v.state.systemID(), d.Path)
	if err == nil {
		err = v.compute().Modify(ctx, attachDiskRequest(a, d))
	}
	if err == nil {
		entry.Attached = true
		err = v.state.write(v.dir)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		return a, errors.Join(err, v.detach(ctx, entry))
	}
	return a, nil
}

// DetachDisk implements vm.VM.
func (v *VM) DetachDisk(ctx context.Context, a vm.DiskAddress) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	d := v.state.diskAt(a)
	if d == nil || d.Idle {
		return fmt.Errorf("detach disk at %+v of VM %s: %w", a, v.state.ID, vm.ErrNotFound)
	}
	detach := v.detach
	if d.Content != vm.DiskContent {
		detach = v.unshare
	}
	if err := detach(ctx, d); err != nil {
		return v.orExited(fmt.Errorf("detach disk at %+v of VM %s: %w", a, v.state.ID, typed(err)))
	}
	return nil
}

// detach takes away as much of a disk as there is. If that fails the disk stays noted.
func (v *VM) detach(ctx context.Context, d *disk) error {
	if v.running() == nil {
		err := v.compute().Modify(ctx, detachDiskRequest(d.Address))
		if err != nil && (d.Attached || !errors.Is(err, computecore.ElementNotFound)) {
			return err
		}
	}
	if err := v.revoke(d.Path); err != nil {
		return err
	}
	v.state.Disks = without(v.state.Disks, d)
	return v.state.write(v.dir)
}
