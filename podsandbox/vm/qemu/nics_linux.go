package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// nic is an attached NIC in a VM's state; written before it is attached.
type nic struct {
	ID   string
	Slot int
}

func nicDevice(slot int) string { return fmt.Sprintf("nic%d", slot) }
func netdevID(slot int) string  { return fmt.Sprintf("net%d", slot) }

const vhostNet = "/dev/vhost-net"

// AttachNIC implements vm.VM.
func (v *VM) AttachNIC(ctx context.Context, n vm.NIC) error {
	if err := n.Validate(); err != nil {
		return err
	}
	tap, ok := n.Endpoint.(vm.TapEndpoint)
	if !ok || tap.File == nil {
		return fmt.Errorf("NIC %s: QEMU takes an open tap, not %T: %w", n.ID, n.Endpoint, vm.ErrInvalid)
	}
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	slot, err := v.freeNICSlot(n.ID)
	if err != nil {
		return fmt.Errorf("attach NIC %s to VM %s: %w", n.ID, v.state.ID, err)
	}
	v.state.NICs = append(v.state.NICs, nic{ID: n.ID, Slot: slot})
	if err := v.saveDevices(); err != nil {
		v.forgetNIC(slot)
		return err
	}
	if err := v.plugNIC(ctx, slot, n, tap.File); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		err = fmt.Errorf("attach NIC %s to VM %s: %w", n.ID, v.state.ID, err)
		return v.orExited(errors.Join(err, v.unplugNIC(undo, slot)))
	}
	return nil
}

func (v *VM) freeNICSlot(id string) (int, error) {
	taken := make(map[int]bool, len(v.state.NICs))
	for _, n := range v.state.NICs {
		if n.ID == id {
			return 0, fmt.Errorf("the NIC is attached: %w", vm.ErrExists)
		}
		taken[n.Slot] = true
	}
	for slot := range nicSlots {
		if !taken[slot] {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("all %d NIC slots are in use: %w", nicSlots, vm.ErrNoSlots)
}

func (v *VM) plugNIC(ctx context.Context, slot int, n vm.NIC, tap *os.File) error {
	netdev := map[string]any{"type": "tap", "id": netdevID(slot), "fd": netdevID(slot)}
	if err := v.passFD(ctx, tap, netdevID(slot)); err != nil {
		return err
	}
	if vhost, err := os.OpenFile(vhostNet, os.O_RDWR, 0); err == nil {
		defer vhost.Close()
		name := "vhost-" + netdevID(slot)
		if err := v.passFD(ctx, vhost, name); err != nil {
			return err
		}
		netdev["vhost"], netdev["vhostfd"] = true, name
	}
	if err := v.command(ctx, "netdev_add", netdev, nil); err != nil {
		return err
	}
	device := map[string]any{
		"driver": "virtio-net-pci", "id": nicDevice(slot), "netdev": netdevID(slot), "bus": nicBus(slot),
		"mac": n.MAC.String(), "romfile": "",
	}
	if n.MTU > 0 {
		device["host_mtu"] = n.MTU
	}
	return v.command(ctx, "device_add", device, nil)
}

// passFD gives QEMU a duplicate of a file under a name.
func (v *VM) passFD(ctx context.Context, f *os.File, name string) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var passed error
	err = raw.Control(func(fd uintptr) {
		passed = v.commandFD(ctx, int(fd), "getfd", map[string]any{"fdname": name}, nil)
	})
	return errors.Join(err, passed)
}

// DetachNIC implements vm.VM.
func (v *VM) DetachNIC(ctx context.Context, id string) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	for _, n := range v.state.NICs {
		if n.ID == id {
			if err := v.unplugNIC(ctx, n.Slot); err != nil {
				return v.orExited(fmt.Errorf("detach NIC %s from VM %s: %w", id, v.state.ID, err))
			}
			return nil
		}
	}
	return fmt.Errorf("VM %s has no NIC %s: %w", v.state.ID, id, vm.ErrNotFound)
}

// unplugNIC undoes plugNIC, whole or half done. Called with v.devices held.
func (v *VM) unplugNIC(ctx context.Context, slot int) error {
	if err := v.unplug(ctx, nicDevice(slot)); err != nil {
		return err
	}
	if err := v.command(ctx, "netdev_del", map[string]any{"id": netdevID(slot)}, nil); err != nil && !isAbsent(err) {
		return err
	}
	for _, name := range []string{netdevID(slot), "vhost-" + netdevID(slot)} {
		if err := v.command(ctx, "closefd", map[string]any{"fdname": name}, nil); err != nil && !isAbsent(err) {
			return err
		}
	}
	v.forgetNIC(slot)
	return v.saveDevices()
}

func (v *VM) forgetNIC(slot int) {
	kept := v.state.NICs[:0]
	for _, n := range v.state.NICs {
		if n.Slot != slot {
			kept = append(kept, n)
		}
	}
	v.state.NICs = kept
}
