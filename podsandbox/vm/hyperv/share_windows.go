package hyperv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

// attachShare shows a Windows guest a folder or a file of the host. The VM's own
// process opens what is shared, by the host service's rights: no access is granted.
func (v *VM) attachShare(ctx context.Context, d vm.Disk) (vm.DiskAddress, error) {
	fail := func(err error) (vm.DiskAddress, error) {
		return vm.DiskAddress{}, v.orExited(fmt.Errorf("share %s with VM %s: %w", d.Path, v.state.ID, typed(err)))
	}
	if !v.state.Windows {
		return fail(fmt.Errorf("its guest is Linux: %w", vm.ErrUnsupported))
	}
	st, err := os.Stat(d.Path)
	if err != nil {
		return fail(errors.Join(vm.ErrInvalid, err))
	}
	if d.Content == vm.LayerContent && !st.IsDir() {
		return fail(fmt.Errorf("not a folder: %w", vm.ErrInvalid))
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	a, err := v.share(ctx, d, !st.IsDir())
	if err != nil {
		return fail(err)
	}
	return a, nil
}

func (v *VM) share(ctx context.Context, d vm.Disk, isFile bool) (vm.DiskAddress, error) {
	if was := v.state.diskOf(d); was != nil {
		switch {
		case was.Idle:
			was.Idle = false
			return was.Address, v.state.write(v.dir)
		case was.Attached:
			return was.Address, nil
		}
		if err := v.unshare(ctx, was); err != nil { // a daemon died sharing it
			return vm.DiskAddress{}, err
		}
	}
	a, free := v.state.freeShare()
	if !free {
		return a, vm.ErrNoSlots
	}
	entry := &disk{Address: a, Path: d.Path, Content: d.Content, ReadOnly: d.ReadOnly}
	if d.Content == vm.LayerContent {
		id, err := computecore.NameToGUID(filepath.Base(d.Path))
		if err != nil {
			return a, fmt.Errorf("the layer's id: %w", err)
		}
		entry.LayerID = id
	}
	v.state.Disks = append(v.state.Disks, entry)
	if err := v.state.write(v.dir); err != nil {
		v.state.Disks = without(v.state.Disks, entry)
		return a, err
	}
	err := v.compute().Modify(ctx, shareRequest(a, d, isFile))
	if err == nil {
		entry.Attached = true
		err = v.state.write(v.dir)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		return a, errors.Join(err, v.unshare(ctx, entry))
	}
	return a, nil
}

// unshare takes a share away. A layer stays until the VM ends: the guest may have its
// files mapped, and would lose its memory (as hcsshim says, internal/uvm/vsmb.go).
func (v *VM) unshare(ctx context.Context, d *disk) error {
	if d.Content == vm.LayerContent && d.Attached {
		d.Idle = true
		return v.state.write(v.dir)
	}
	if v.running() == nil {
		err := v.compute().Modify(ctx, unshareRequest(d.Address))
		if err != nil && (d.Attached || !errors.Is(err, computecore.ElementNotFound)) {
			return err
		}
	}
	v.state.Disks = without(v.state.Disks, d)
	return v.state.write(v.dir)
}
