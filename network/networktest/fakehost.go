package networktest

import (
	"context"
	"fmt"
	"slices"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Expose implements network.Network.
func (f *Fake) Expose(_ context.Context, id string, ports []network.HostPort) ([]network.Refusal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.attached[id]; a == nil || !a.Host() {
		return nil, fmt.Errorf("host network of sandbox %s: %w", id, vm.ErrNotFound)
	}
	var refused []network.Refusal
	var granted []network.HostPort
	for _, p := range ports {
		if p.Protocol == network.SCTP || f.taken(id, p) {
			refused = append(refused, network.Refusal{Port: p, Reason: "in use"})
			continue
		}
		granted = append(granted, p)
	}
	if f.exposed == nil {
		f.exposed = map[string][]network.HostPort{}
	}
	f.exposed[id] = granted
	return refused, nil
}

// taken tells whether the node or another sandbox has a port. Callers hold mu.
func (f *Fake) taken(id string, p network.HostPort) bool {
	same := func(o network.HostPort) bool { return o.Protocol == p.Protocol && o.Port == p.Port }
	if slices.ContainsFunc(f.NodePorts, same) {
		return true
	}
	for owner, ports := range f.exposed {
		if owner != id && slices.ContainsFunc(ports, same) {
			return true
		}
	}
	return false
}

// Exposed is what the node leads to a sandbox.
func (f *Fake) Exposed(id string) []network.HostPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.exposed[id])
}

// NodeListeners implements network.Network.
func (f *Fake) NodeListeners(_ context.Context, id string) ([]network.HostPort, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Clone(f.NodePorts)
	for owner, ports := range f.exposed {
		if owner != id {
			list = append(list, ports...)
		}
	}
	return list, nil
}
