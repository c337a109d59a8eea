package podsandbox

import (
	"context"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// vmSource gives out VMs that no pod is in. A pool can stand behind it.
type vmSource interface {
	// Take returns a VM as shape says; the caller owns it. On error nothing is left.
	Take(ctx context.Context, shape vm.Config) (vm.VM, error)
}

// onDemand makes a VM for each taker.
type onDemand struct{ host vm.Host }

func (o onDemand) Take(ctx context.Context, shape vm.Config) (vm.VM, error) {
	return o.host.Create(ctx, shape)
}
