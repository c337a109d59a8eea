package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// A disk is three things in QEMU, all numbered by its LUN: an fd set that
// carries its path as a note, a block node, and a SCSI device. QEMU itself is
// thereby the record of what is attached, which a restarted daemon reads.
func diskNode(lun uint32) string   { return fmt.Sprintf("disk%d", lun) }
func diskDevice(lun uint32) string { return fmt.Sprintf("lun%d", lun) }

// plainSCSI is SPC-1. Linux asks a disk of SPC-3, QEMU's default, for some twenty
// pages that tell how to write to it well, a quarter of the time to a layer's mount.
const plainSCSI = 3

// fdSetBase keeps disks' fd sets apart from others.
const fdSetBase = 1000

// disks tells which LUNs are taken, and by which path.
func (v *VM) disks(ctx context.Context) (map[uint32]string, error) {
	var sets []struct {
		ID  int64 `json:"fdset-id"`
		FDs []struct{ Opaque string }
	}
	if err := v.execute(ctx, "query-fdsets", nil, &sets); err != nil {
		return nil, err
	}
	taken := make(map[uint32]string)
	for _, s := range sets {
		lun := s.ID - fdSetBase
		if lun < 0 || lun >= diskSlots || len(s.FDs) == 0 {
			continue
		}
		taken[uint32(lun)] = s.FDs[0].Opaque
	}
	return taken, nil
}

// AttachDisk implements vm.VM.
func (v *VM) AttachDisk(ctx context.Context, disk vm.Disk) (vm.DiskAddress, error) {
	if err := v.running(); err != nil {
		return vm.DiskAddress{}, err
	}
	if err := disk.Validate(); err != nil {
		return vm.DiskAddress{}, err
	}
	if disk.Content != vm.DiskContent {
		return vm.DiskAddress{}, fmt.Errorf("attach %s to VM %s: guests of this host see disks only: %w", disk.Path, v.state.ID, vm.ErrUnsupported)
	}
	f, driver, err := openDisk(disk)
	if err != nil {
		return vm.DiskAddress{}, fmt.Errorf("attach disk to VM %s: %w", v.state.ID, err)
	}
	defer f.Close()
	v.devices.Lock()
	defer v.devices.Unlock()
	lun, err := v.freeLUN(ctx, disk.Path)
	if err == nil {
		err = v.plugDisk(ctx, lun, disk, f, driver)
	}
	if err != nil {
		return vm.DiskAddress{}, fmt.Errorf("attach disk %s to VM %s: %w", disk.Path, v.state.ID, err)
	}
	return vm.DiskAddress{LUN: lun}, nil
}

// openDisk opens a disk with the rights it needs, and names QEMU's driver for it.
func openDisk(disk vm.Disk) (*os.File, string, error) {
	flags := os.O_RDWR
	if disk.ReadOnly {
		flags = os.O_RDONLY
	}
	// Not blocking: the path may be a FIFO, which would hold the open.
	f, err := os.OpenFile(disk.Path, flags|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", err
	}
	st, err := f.Stat()
	switch {
	case err != nil:
	case st.Mode().IsRegular() && st.Size() > 0:
		return f, "file", nil
	case st.Mode()&os.ModeDevice != 0 && st.Mode()&os.ModeCharDevice == 0:
		return f, "host_device", nil
	default:
		err = fmt.Errorf("%s: neither a block device nor a file with contents: %w", disk.Path, vm.ErrInvalid)
	}
	f.Close()
	return nil, "", err
}

// freeLUN finds a slot, and clears what an attach that died half way left.
func (v *VM) freeLUN(ctx context.Context, path string) (uint32, error) {
	taken, err := v.disks(ctx)
	if err != nil {
		return 0, err
	}
	for lun, p := range taken {
		if p != path {
			continue
		}
		plugged, err := v.hasDevice(ctx, diskDevice(lun))
		if err != nil {
			return 0, err
		}
		if plugged {
			return 0, vm.ErrExists
		}
		if err := v.dropDisk(ctx, lun); err != nil {
			return 0, err
		}
		return lun, nil
	}
	for lun := range uint32(diskSlots) {
		if _, ok := taken[lun]; !ok {
			return lun, nil
		}
	}
	return 0, vm.ErrNoSlots
}

func (v *VM) plugDisk(ctx context.Context, lun uint32, disk vm.Disk, f *os.File, driver string) (err error) {
	set := qmpArgs{"fdset-id": fdSetBase + int(lun), "opaque": disk.Path}
	if err := v.executeFile(ctx, f, "add-fd", set, nil); err != nil {
		return err
	}
	defer func() {
		if err != nil && v.running() == nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
			defer cancel()
			err = errors.Join(err, v.removeDisk(ctx, lun))
		}
	}()
	node := qmpArgs{
		"driver": "raw", "node-name": diskNode(lun), "read-only": disk.ReadOnly, "discard": "unmap",
		"cache": qmpArgs{"direct": false, "no-flush": disk.Ephemeral},
		"file": qmpArgs{
			"driver": driver, "filename": fmt.Sprintf("/dev/fdset/%d", fdSetBase+int(lun)),
			"read-only": disk.ReadOnly, "discard": "unmap", "aio": "threads",
			"cache": qmpArgs{"direct": false, "no-flush": disk.Ephemeral},
		},
	}
	if err := v.execute(ctx, "blockdev-add", node, nil); err != nil {
		return err
	}
	device := qmpArgs{
		"driver": "scsi-hd", "id": diskDevice(lun), "drive": diskNode(lun), "bus": "scsi0.0",
		"channel": 0, "scsi-id": 0, "lun": lun, "serial": strconv.Itoa(int(lun)),
	}
	if disk.ReadOnly {
		device["scsi_version"] = plainSCSI
	}
	return v.execute(ctx, "device_add", device, nil)
}

// DetachDisk implements vm.VM.
func (v *VM) DetachDisk(ctx context.Context, addr vm.DiskAddress) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	taken, err := v.disks(ctx)
	if err != nil {
		return fmt.Errorf("detach disk at %+v of VM %s: %w", addr, v.state.ID, err)
	}
	if _, ok := taken[addr.LUN]; !ok || addr.Controller != 0 {
		return fmt.Errorf("detach disk at %+v of VM %s: %w", addr, v.state.ID, vm.ErrNotFound)
	}
	if err := v.removeDisk(ctx, addr.LUN); err != nil {
		return fmt.Errorf("detach disk at %+v of VM %s: %w", addr, v.state.ID, err)
	}
	return nil
}

// removeDisk takes away as much of a disk as there is.
func (v *VM) removeDisk(ctx context.Context, lun uint32) error {
	plugged, err := v.hasDevice(ctx, diskDevice(lun))
	if err != nil {
		return err
	}
	if plugged {
		if err := v.unplug(ctx, diskDevice(lun)); err != nil {
			return err
		}
	}
	return v.dropDisk(ctx, lun)
}

// dropDisk removes the node and fd set of a disk without a device.
func (v *VM) dropDisk(ctx context.Context, lun uint32) error {
	var nodes []struct {
		Name string `json:"node-name"`
	}
	if err := v.execute(ctx, "query-named-block-nodes", qmpArgs{"flat": true}, &nodes); err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Name != diskNode(lun) {
			continue
		}
		if err := v.execute(ctx, "blockdev-del", qmpArgs{"node-name": n.Name}, nil); err != nil {
			return err
		}
	}
	return v.execute(ctx, "remove-fd", qmpArgs{"fdset-id": fdSetBase + int(lun)}, nil)
}
