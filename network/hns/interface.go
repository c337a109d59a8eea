package hns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/cni"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// endpoint is what is used of an HCN endpoint.
type endpoint struct {
	ID, Name, MAC string
	Addresses     []string // address/length
	Routes        []route
	// Overhead is how many bytes the network's encapsulation takes of each packet.
	Overhead int
	DNS      network.DNS
}

type route struct{ NextHop, Destination string }

// ethernetMTU is what a packet may have on the host's adapters.
const ethernetMTU = 1500

// interfaces are those of a pod with these endpoints; one called eth0 comes first.
func interfaces(endpoints []endpoint) ([]network.Interface, error) {
	ordered := make([]endpoint, 0, len(endpoints))
	for _, first := range []bool{true, false} {
		for _, e := range endpoints {
			if isFirst := e.Name == cni.IfName || strings.HasSuffix(e.Name, "_"+cni.IfName); isFirst == first {
				ordered = append(ordered, e)
			}
		}
	}
	var out []network.Interface
	for i, e := range ordered {
		iface, err := e.iface(fmt.Sprintf("eth%d", i))
		if err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", e.ID, err)
		}
		out = append(out, iface)
	}
	if len(out) == 0 || len(out[0].Addresses) == 0 {
		return nil, errors.New("gave the pod no address")
	}
	return out, nil
}

func (e endpoint) iface(name string) (network.Interface, error) {
	mac, err := net.ParseMAC(e.MAC)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		return network.Interface{}, fmt.Errorf("hardware address %q is not a unicast Ethernet address", e.MAC)
	}
	out := network.Interface{Name: name, MAC: mac, MTU: ethernetMTU - e.Overhead, Endpoint: vm.HCNEndpoint{ID: e.ID}}
	for _, a := range e.Addresses {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return out, err
		}
		out.Addresses = append(out.Addresses, p)
	}
	for _, r := range e.Routes {
		destination, err := netip.ParsePrefix(r.Destination)
		if err != nil {
			return out, fmt.Errorf("route: %w", err)
		}
		to := network.Route{Destination: destination.Masked()}
		if hop, err := netip.ParseAddr(r.NextHop); err == nil && !hop.IsUnspecified() {
			to.Gateway = hop
		}
		out.Routes = append(out.Routes, to)
	}
	return out, nil
}
