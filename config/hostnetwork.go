package config

import "net/netip"

// HostNetworkMode is what becomes of pods that ask for the node's network.
type HostNetworkMode string

// Modes of the host network.
const (
	HostNetworkForward HostNetworkMode = "forward"
	HostNetworkRefuse  HostNetworkMode = "refuse"
)

// HostNetwork configures pods on the node's network.
type HostNetwork struct {
	Mode HostNetworkMode `json:"mode"`
	// IPv4 and IPv6 are where their links' addresses come from.
	IPv4 netip.Prefix `json:"ipv4"`
	IPv6 netip.Prefix `json:"ipv6"`
}

func (h HostNetwork) validate(bad func(key, format string, args ...any)) {
	if h.Mode != HostNetworkForward && h.Mode != HostNetworkRefuse {
		bad("hostNetwork.mode", "%q is neither %q nor %q", h.Mode, HostNetworkForward, HostNetworkRefuse)
	}
	for _, r := range []struct {
		key    string
		prefix netip.Prefix
		is     func(netip.Addr) bool
		most   int
	}{{"hostNetwork.ipv4", h.IPv4, netip.Addr.Is4, 30}, {"hostNetwork.ipv6", h.IPv6, netip.Addr.Is6, 126}} {
		if !r.is(r.prefix.Addr()) || r.prefix.Bits() > r.most || r.prefix != r.prefix.Masked() {
			bad(r.key, "%s is not the address of a network of its family of at least a /%d", r.prefix, r.most)
		}
	}
}
