package tap

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Prepare implements network.Network.
func (n *Network) Prepare(ctx context.Context, id string) (vm.Endpoint, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := n.cfg.load(id)
	if err != nil {
		return nil, err
	}
	if r != nil {
		return nil, fmt.Errorf("prepare the network of sandbox %s: %w", id, vm.ErrExists)
	}
	tap, err := n.prepare(id)
	if err != nil {
		return nil, errors.Join(err, removeNetNS(n.cfg.netnsPath(id)), n.cfg.forget(id))
	}
	return vm.TapEndpoint{File: tap}, nil
}

func (n *Network) prepare(id string) (tap *os.File, err error) {
	if err := n.cfg.save(&record{Request: network.Request{SandboxID: id}, Prepared: true}); err != nil {
		return nil, err
	}
	netns := n.cfg.netnsPath(id)
	if err := n.makeNamespace(netns); err != nil {
		return nil, err
	}
	err = inNetNS(netns, func() error {
		tap, err = openTap(tapName(0))
		return err
	})
	return tap, err
}

// makeNamespace makes a namespace as every pod's is before CNI comes.
func (n *Network) makeNamespace(netns string) error {
	if err := makeNetNS(netns); err != nil {
		return err
	}
	return inNetNS(netns, loopbackUp)
}
