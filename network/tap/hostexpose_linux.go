package tap

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/sockets"
	"github.com/paddock-run/paddock/network"
)

const (
	// maxExposed bounds the ports of one sandbox.
	maxExposed = 256
	// maxNodeListeners bounds what a sandbox is told of the node.
	maxNodeListeners = 1024
)

// Expose implements network.Network.
func (n *Network) Expose(ctx context.Context, id string, ports []network.HostPort) ([]network.Refusal, error) {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	r, err := n.hostRecord(id)
	if err != nil {
		return nil, err
	}
	before := r.Host.Ports
	granted, refused := n.hold(id, ports)
	if slices.Equal(granted, before) && !n.host.stale {
		return refused, nil
	}
	r.Host.Ports = granted
	if err := n.cfg.save(r); err != nil {
		return nil, err
	}
	if err := n.applyHost(ctx, ""); err != nil {
		return nil, err
	}
	forgetFlows(ctx, slices.Concat(without(before, granted), without(granted, before)))
	return refused, nil
}

// hold makes a sandbox's reservations those for ports, as far as they can be had.
func (n *Network) hold(id string, ports []network.HostPort) (granted []network.HostPort, refused []network.Refusal) {
	ports = sortedPorts(ports)
	held := n.host.held[id]
	if held == nil {
		held = map[network.HostPort]reservation{}
		n.host.held[id] = held
	}
	for p := range maps.Clone(held) {
		if !slices.Contains(ports, p) {
			held[p].release()
			delete(held, p)
		}
	}
	for _, p := range ports {
		if held[p] == nil {
			if len(held) >= maxExposed {
				refused = append(refused, network.Refusal{Port: p, Reason: fmt.Sprintf("the pod listens on more than %d ports", maxExposed)})
				continue
			}
			got, err := reserve(p)
			if err != nil {
				refused = append(refused, network.Refusal{Port: p, Reason: err.Error()})
				continue
			}
			held[p] = got
		}
		granted = append(granted, p)
	}
	return granted, refused
}

// sortedPorts has each port once; one that is not for localhost only includes localhost.
func sortedPorts(ports []network.HostPort) []network.HostPort {
	ports = slices.Clone(ports)
	slices.SortFunc(ports, func(a, b network.HostPort) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port), cmp.Compare(onlyLocal(a), onlyLocal(b)))
	})
	return slices.CompactFunc(ports, func(a, b network.HostPort) bool { return a.Protocol == b.Protocol && a.Port == b.Port })
}

func onlyLocal(p network.HostPort) int {
	if p.Loopback {
		return 1
	}
	return 0
}

func without(ports, those []network.HostPort) []network.HostPort {
	return slices.DeleteFunc(slices.Clone(ports), func(p network.HostPort) bool { return slices.Contains(those, p) })
}

// forgetFlows makes the kernel forget UDP flows to ports whose destination has
// changed: it would go on sending them where they went.
func forgetFlows(ctx context.Context, ports []network.HostPort) {
	for _, p := range ports {
		if p.Protocol != network.UDP {
			continue
		}
		filter := &netlink.ConntrackFilter{}
		err := filter.AddProtocol(unix.IPPROTO_UDP)
		if err == nil {
			err = filter.AddPort(netlink.ConntrackOrigDstPort, p.Port)
		}
		for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
			if err == nil {
				_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, filter)
			}
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "Flows to a port may go on for a while where they went", "port", p)
		}
	}
}

// NodeListeners implements network.Network.
func (n *Network) NodeListeners(_ context.Context, id string) ([]network.HostPort, error) {
	all, err := sockets.Listening()
	if err != nil {
		return nil, err
	}
	n.host.mu.Lock()
	own := map[uint16]bool{}
	for p := range n.host.held[id] {
		own[p.Port] = own[p.Port] || p.Protocol == network.TCP
	}
	n.host.mu.Unlock()
	var ports []network.HostPort
	for _, l := range all {
		addr := l.Addr.Addr()
		local := addr == netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if !l.UDP && !own[l.Addr.Port()] && (local || addr.IsUnspecified()) {
			ports = append(ports, network.HostPort{Port: l.Addr.Port(), Loopback: local})
		}
	}
	ports = sortedPorts(ports)
	return ports[:min(len(ports), maxNodeListeners)], nil
}
