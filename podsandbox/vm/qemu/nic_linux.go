package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// BornMAC implements vm.VM.
func (v *VM) BornMAC() net.HardwareAddr {
	if !v.state.NIC {
		return nil
	}
	mac, _ := net.ParseMAC(bornMAC) // a constant
	return mac
}

// vhostNet has the host's kernel move a NIC's packets, where there is one.
const vhostNet = "/dev/vhost-net"

// AttachNIC implements vm.VM.
func (v *VM) AttachNIC(ctx context.Context, nic vm.NIC) error {
	if err := v.running(); err != nil {
		return err
	}
	if err := nic.Validate(); err != nil {
		return err
	}
	tap, ok := nic.Endpoint.(vm.TapEndpoint)
	if !ok || tap.File == nil {
		return fmt.Errorf("attach NIC %s to VM %s: want an open tap device, not %T: %w", nic.ID, v.state.ID, nic.Endpoint, vm.ErrInvalid)
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	slot, err := v.freePort(ctx, nic.ID)
	if err == nil {
		err = v.plugNIC(ctx, slot, nic, tap.File)
	}
	if err != nil {
		return fmt.Errorf("attach NIC %s to VM %s: %w", nic.ID, v.state.ID, err)
	}
	return nil
}

// nicSlot finds a NIC's port; -1 if it is not attached.
func nicSlot(plugged map[string]bool, id string) int {
	for slot := range nicSlots {
		if plugged[nicDevice(slot, id)] {
			return slot
		}
	}
	return -1
}

func (v *VM) freePort(ctx context.Context, id string) (int, error) {
	plugged, err := v.devicesPlugged(ctx)
	if err != nil {
		return 0, err
	}
	if nicSlot(plugged, id) >= 0 {
		return 0, vm.ErrExists
	}
	for slot := range nicSlots {
		taken := false
		for name := range plugged {
			taken = taken || strings.HasPrefix(name, nicDevice(slot, ""))
		}
		if !taken {
			return slot, nil
		}
	}
	return 0, vm.ErrNoSlots
}

func (v *VM) plugNIC(ctx context.Context, slot int, nic vm.NIC, tap *os.File) error {
	netdev := netdevName(nic.ID)
	if err := v.executeFile(ctx, tap, "getfd", qmpArgs{"fdname": netdev}, nil); err != nil {
		return err
	}
	backend := qmpArgs{"type": "tap", "id": netdev, "fd": netdev}
	if err := v.offerVhost(ctx, netdev, backend); err != nil {
		return err
	}
	if err := v.addNetdev(ctx, netdev, backend); err != nil {
		_ = v.execute(context.WithoutCancel(ctx), "closefd", qmpArgs{"fdname": netdev}, nil)
		return err
	}
	device := qmpArgs{
		"driver": "virtio-net-pci", "id": nicDevice(slot, nic.ID), "netdev": netdev,
		"mac": nic.MAC.String(), "bus": nicBus(slot), "romfile": "",
	}
	if nic.MTU > 0 {
		device["host_mtu"] = nic.MTU
	}
	if err := v.execute(ctx, "device_add", device, nil); err != nil {
		if v.running() != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		return errors.Join(err, v.execute(ctx, "netdev_del", qmpArgs{"id": netdev}, nil))
	}
	return nil
}

// offerVhost has the host's kernel move the packets where it can.
func (v *VM) offerVhost(ctx context.Context, netdev string, backend qmpArgs) error {
	f, err := os.OpenFile(vhostNet, os.O_RDWR, 0)
	if err != nil {
		return nil // QEMU moves them
	}
	defer f.Close()
	name := "vhost-" + netdev
	if err := v.executeFile(ctx, f, "getfd", qmpArgs{"fdname": name}, nil); err != nil {
		return err
	}
	backend["vhost"], backend["vhostfd"] = true, name
	return nil
}

// addNetdev makes the host's side. One of that name without a device is what an
// attach or detach that died half way left.
func (v *VM) addNetdev(ctx context.Context, name string, backend qmpArgs) error {
	err := v.execute(ctx, "netdev_add", backend, nil)
	if err == nil || !strings.Contains(err.Error(), "Duplicate") {
		return err
	}
	if err := v.execute(ctx, "netdev_del", qmpArgs{"id": name}, nil); err != nil {
		return err
	}
	return v.execute(ctx, "netdev_add", backend, nil)
}

// DetachNIC implements vm.VM. The guest's kernel takes part, so that it lasts
// until ctx ends if the guest is stuck.
func (v *VM) DetachNIC(ctx context.Context, id string) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	err := v.unplugNIC(ctx, id)
	if err != nil {
		return fmt.Errorf("detach NIC %s of VM %s: %w", id, v.state.ID, err)
	}
	return nil
}

func (v *VM) unplugNIC(ctx context.Context, id string) error {
	plugged, err := v.devicesPlugged(ctx)
	if err != nil {
		return err
	}
	slot := nicSlot(plugged, id)
	if slot < 0 {
		return vm.ErrNotFound
	}
	if err := v.unplug(ctx, nicDevice(slot, id)); err != nil {
		return err
	}
	return v.execute(ctx, "netdev_del", qmpArgs{"id": netdevName(id)}, nil)
}
