package hyperv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

// A Windows guest is told of an interface before it comes, and again when it is there;
// before the first, of the namespace that it belongs to. A Linux guest sees for itself.

// guestTime bounds what the guest takes for it.
const guestTime = time.Minute

// tellGuest asks a Windows guest for changes, one after the other.
func (v *VM) tellGuest(ctx context.Context, changes ...bridge.Modification) error {
	if v.guest == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, guestTime)
	defer cancel()
	client, err := v.guest.agent.Client(ctx)
	if err != nil {
		return err
	}
	for _, m := range changes {
		if err := client.Modify(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// expectNIC is called before an interface is added. Callers hold devices.
func (v *VM) expectNIC(ctx context.Context, id, endpoint string) error {
	if v.guest == nil {
		return nil
	}
	if v.host.cfg.Endpoint == nil {
		return fmt.Errorf("an interface of a Windows guest: %w", vm.ErrUnsupported)
	}
	e, err := v.host.cfg.Endpoint(ctx, endpoint)
	if err != nil {
		return fmt.Errorf("endpoint %s: %w", endpoint, err)
	}
	switch v.state.Namespace {
	case "":
		if err := v.tellGuest(ctx, bridge.AddNamespace(e.Namespace)); err != nil {
			return fmt.Errorf("tell the guest of its network namespace: %w", err)
		}
		v.state.Namespace = e.NamespaceID
		if err := v.state.write(v.dir); err != nil {
			return err
		}
	case e.NamespaceID:
	default:
		return fmt.Errorf("endpoint %s is in namespace %s, the VM is in %s: %w", endpoint, e.NamespaceID, v.state.Namespace, vm.ErrInvalid)
	}
	if err := v.tellGuest(ctx, bridge.ExpectAdapter(nicGUID(id), e.Endpoint)); err != nil {
		return fmt.Errorf("tell the guest of an interface to come: %w", err)
	}
	return nil
}

// greetNIC is called after it was added.
func (v *VM) greetNIC(ctx context.Context, id string) error {
	if err := v.tellGuest(ctx, bridge.AddAdapter(nicGUID(id))); err != nil {
		return fmt.Errorf("have the guest use an interface: %w", err)
	}
	return nil
}

// dismissNIC is called before it is taken away.
func (v *VM) dismissNIC(ctx context.Context, id string) error {
	err := v.tellGuest(ctx, bridge.RemoveAdapter(nicGUID(id)))
	if err != nil && !errors.Is(err, computecore.ElementNotFound) {
		return fmt.Errorf("have the guest let go of an interface: %w", err)
	}
	return nil
}

// bear gives a Windows VM the interface that its Config names.
func (v *VM) bear(ctx context.Context, m machine) error {
	mac, err := net.ParseMAC(strings.ReplaceAll(m.mac, "-", ":"))
	if err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	return typed(v.plug(ctx, vm.NIC{ID: bornNIC, MAC: mac, Endpoint: vm.HCNEndpoint{ID: m.endpoint}}, m.endpoint))
}
