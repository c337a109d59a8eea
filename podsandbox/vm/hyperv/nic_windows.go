package hyperv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/google/uuid"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

// AttachNIC implements vm.VM. The guest's MTU is set by the agent: a network adapter has none.
func (v *VM) AttachNIC(ctx context.Context, n vm.NIC) error {
	if err := v.running(); err != nil {
		return err
	}
	if err := n.Validate(); err != nil {
		return err
	}
	endpoint, ok := n.Endpoint.(vm.HCNEndpoint)
	if !ok || uuid.Validate(endpoint.ID) != nil {
		return fmt.Errorf("attach NIC %s to VM %s: want an endpoint of the Host Compute Network, not %#v: %w", n.ID, v.state.ID, n.Endpoint, vm.ErrInvalid)
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	if err := v.plug(ctx, n, endpoint.ID); err != nil {
		return v.orExited(fmt.Errorf("attach NIC %s to VM %s: %w", n.ID, v.state.ID, typed(err)))
	}
	return nil
}

func (v *VM) plug(ctx context.Context, n vm.NIC, endpoint string) error {
	if was := v.state.nicOf(n.ID); was != nil {
		if was.Attached {
			return vm.ErrExists
		}
		if err := v.unplug(ctx, was); err != nil { // a daemon died attaching it
			return err
		}
	}
	if len(v.state.NICs) >= nicSlots {
		return vm.ErrNoSlots
	}
	entry := &nic{ID: n.ID, Endpoint: endpoint, MAC: n.MAC.String()}
	v.state.NICs = append(v.state.NICs, entry)
	if err := v.state.write(v.dir); err != nil {
		v.state.NICs = without(v.state.NICs, entry)
		return err
	}
	err := v.expectNIC(ctx, n.ID, endpoint)
	if err == nil {
		err = v.compute().Modify(ctx, attachNICRequest(n.ID, endpoint, n.MAC))
	}
	if err == nil {
		err = v.greetNIC(ctx, n.ID)
	}
	if err == nil {
		entry.Attached = true
		err = v.state.write(v.dir)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		return errors.Join(err, v.unplug(ctx, entry))
	}
	return nil
}

// DetachNIC implements vm.VM.
func (v *VM) DetachNIC(ctx context.Context, id string) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	n := v.state.nicOf(id)
	if n == nil {
		return fmt.Errorf("detach NIC %s of VM %s: %w", id, v.state.ID, vm.ErrNotFound)
	}
	if err := v.unplug(ctx, n); err != nil {
		return v.orExited(fmt.Errorf("detach NIC %s of VM %s: %w", id, v.state.ID, typed(err)))
	}
	return nil
}

func (v *VM) unplug(ctx context.Context, n *nic) error {
	if v.running() == nil {
		mac, err := net.ParseMAC(strings.ReplaceAll(n.MAC, "-", ":"))
		if err != nil {
			return err
		}
		if err := v.dismissNIC(ctx, n.ID); err != nil && n.Attached {
			return err
		}
		err = v.compute().Modify(ctx, detachNICRequest(n.ID, n.Endpoint, mac))
		if err != nil && (n.Attached || !errors.Is(err, computecore.ElementNotFound)) {
			return err
		}
	}
	v.state.NICs = without(v.state.NICs, n)
	return v.state.write(v.dir)
}
