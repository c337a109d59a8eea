package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// undoTime bounds what is undone after a failure, whose context may have ended.
const undoTime = 10 * time.Second

// disk is an attached disk in a VM's state; written before it is attached.
type disk struct {
	LUN  uint32
	Path string
}

func diskID(lun uint32) string { return fmt.Sprintf("disk%d", lun) }
func nodeID(lun uint32) string { return fmt.Sprintf("node%d", lun) }

// AttachDisk implements vm.VM.
func (v *VM) AttachDisk(ctx context.Context, d vm.Disk) (vm.DiskAddress, error) {
	if err := d.Validate(); err != nil {
		return vm.DiskAddress{}, err
	}
	if err := v.running(); err != nil {
		return vm.DiskAddress{}, err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	lun, err := v.freeLUN(d.Path)
	if err != nil {
		return vm.DiskAddress{}, fmt.Errorf("attach %s to VM %s: %w", d.Path, v.state.ID, err)
	}
	file, kind, err := hostFile(d)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", vm.ErrNotFound, err)
	}
	if err != nil {
		return vm.DiskAddress{}, fmt.Errorf("attach disk to VM %s: %w", v.state.ID, err)
	}
	defer file.Close()
	v.state.Disks = append(v.state.Disks, disk{LUN: lun, Path: d.Path})
	if err := v.saveDevices(); err != nil {
		v.forgetDisk(lun)
		return vm.DiskAddress{}, err
	}
	if err := v.plugDisk(ctx, lun, d, file, kind); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		err = fmt.Errorf("attach %s to VM %s: %w", d.Path, v.state.ID, err)
		return vm.DiskAddress{}, v.orExited(errors.Join(err, v.unplugDisk(undo, lun)))
	}
	return vm.DiskAddress{LUN: lun}, nil
}

// freeLUN is the first free one. Called with v.devices held.
func (v *VM) freeLUN(path string) (uint32, error) {
	taken := make(map[uint32]bool, len(v.state.Disks))
	for _, d := range v.state.Disks {
		if d.Path == path {
			return 0, fmt.Errorf("the disk is attached: %w", vm.ErrExists)
		}
		taken[d.LUN] = true
	}
	for lun := uint32(0); lun < diskSlots; lun++ {
		if !taken[lun] {
			return lun, nil
		}
	}
	return 0, fmt.Errorf("all %d disk slots are in use: %w", diskSlots, vm.ErrNoSlots)
}

// plugDisk hands QEMU the open file and puts a disk on it before the guest.
func (v *VM) plugDisk(ctx context.Context, lun uint32, d vm.Disk, file *os.File, kind os.FileMode) error {
	set := map[string]any{"fdset-id": lun, "opaque": diskID(lun)}
	if err := v.commandFD(ctx, int(file.Fd()), "add-fd", set, nil); err != nil {
		return err
	}
	driver := "file"
	if kind == os.ModeDevice {
		driver = "host_device"
	}
	cache := map[string]any{"direct": false, "no-flush": d.Ephemeral}
	node := map[string]any{
		"driver": "raw", "node-name": nodeID(lun), "read-only": d.ReadOnly, "discard": "unmap", "cache": cache,
		"file": map[string]any{
			"driver": driver, "filename": fmt.Sprintf("/dev/fdset/%d", lun), "read-only": d.ReadOnly,
			"discard": "unmap", "cache": cache,
			// Layers are shared between VMs, read-only; who may write a disk is decided by the caller.
			"locking": "off",
		},
	}
	if err := v.command(ctx, "blockdev-add", node, nil); err != nil {
		return err
	}
	return v.command(ctx, "device_add", map[string]any{
		"driver": "scsi-hd", "id": diskID(lun), "drive": nodeID(lun), "bus": "scsi0.0",
		"channel": 0, "scsi-id": 0, "lun": lun,
	}, nil)
}

// DetachDisk implements vm.VM.
func (v *VM) DetachDisk(ctx context.Context, addr vm.DiskAddress) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	for _, d := range v.state.Disks {
		if addr.Controller == 0 && d.LUN == addr.LUN {
			if err := v.unplugDisk(ctx, d.LUN); err != nil {
				return v.orExited(fmt.Errorf("detach %s from VM %s: %w", d.Path, v.state.ID, err))
			}
			return nil
		}
	}
	return fmt.Errorf("VM %s has no disk at controller %d, LUN %d: %w", v.state.ID, addr.Controller, addr.LUN, vm.ErrNotFound)
}

// unplugDisk undoes plugDisk, whole or half done. Called with v.devices held.
func (v *VM) unplugDisk(ctx context.Context, lun uint32) error {
	if err := v.unplug(ctx, diskID(lun)); err != nil {
		return err
	}
	if err := v.command(ctx, "blockdev-del", map[string]any{"node-name": nodeID(lun)}, nil); err != nil && !isAbsent(err) {
		return err
	}
	if err := v.command(ctx, "remove-fd", map[string]any{"fdset-id": lun}, nil); err != nil && !isAbsent(err) {
		return err
	}
	v.forgetDisk(lun)
	return v.saveDevices()
}

func (v *VM) forgetDisk(lun uint32) {
	kept := v.state.Disks[:0]
	for _, d := range v.state.Disks {
		if d.LUN != lun {
			kept = append(kept, d)
		}
	}
	v.state.Disks = kept
}
