package podsandbox

import (
	"net"
	"strconv"
	"strings"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/network"
)

func networkRequest(id string, cfg *SandboxConfig) network.Request {
	req := network.Request{
		Host: cfg.onHostNetwork(), SandboxID: id, PodName: cfg.Meta.Name, PodNamespace: cfg.Meta.Namespace, PodUID: cfg.Meta.UID,
		Annotations: cfg.Annotations, CgroupParent: cfg.CgroupParent, PortMappings: cfg.PortMappings,
		IngressBits: bandwidth(cfg.Annotations["kubernetes.io/ingress-bandwidth"]),
		EgressBits:  bandwidth(cfg.Annotations["kubernetes.io/egress-bandwidth"]),
	}
	if cfg.DNS != nil {
		req.DNS = *cfg.DNS
	}
	return req
}

// bandwidth reads a Kubernetes quantity of bits per second (10M, 1Gi, 500k); 0 for none or a bad one.
func bandwidth(quantity string) uint64 {
	units := []struct {
		suffix string
		factor float64
	}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}}
	factor := 1.0
	for _, u := range units {
		if number, found := strings.CutSuffix(quantity, u.suffix); found {
			quantity, factor = number, u.factor
			break
		}
	}
	n, err := strconv.ParseFloat(quantity, 64)
	if err != nil || n <= 0 || n*factor > 1e15 {
		return 0
	}
	return uint64(n * factor)
}

// guestNetwork is what the agent is told. The first interface may be the one that
// the VM was born with, which then gets the pod's hardware address.
func guestNetwork(a *network.Attachment, born net.HardwareAddr) *guestapi.Network {
	out := &guestapi.Network{}
	for n, nic := range a.Interfaces {
		i := &guestapi.Interface{Name: nic.Name, Mac: nic.MAC, Mtu: uint32(max(nic.MTU, 0))}
		if n == 0 && born != nil {
			i.Mac, i.GuestMac = born, nic.MAC
		}
		for _, p := range nic.Addresses {
			i.Addresses = append(i.Addresses, p.String())
		}
		out.Interfaces = append(out.Interfaces, i)
		for _, route := range nic.Routes {
			r := &guestapi.Route{Destination: route.Destination.String(), Interface: nic.Name,
				Mtu: uint32(max(route.MTU, 0)), Priority: int32(route.Priority)}
			if route.Gateway.IsValid() {
				r.Gateway = route.Gateway.String()
			}
			out.Routes = append(out.Routes, r)
		}
	}
	return out
}
