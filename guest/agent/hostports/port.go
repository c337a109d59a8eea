package hostports

import (
	"cmp"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/sockets"
)

// Most is how many listeners the guest reports, and how many of the node's it shows.
const Most = 1024

var (
	localhost4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	localhost6 = netip.IPv6Loopback()
)

// Port is what a socket listens on.
type Port struct {
	Number   uint16
	UDP      bool
	Loopback bool // on localhost only
}

func comparePorts(a, b Port) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), compareBools(a.UDP, b.UDP), compareBools(a.Loopback, b.Loopback))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// FromAPI leaves out what is no port, and what is beyond Most.
func FromAPI(list []*api.Listener) []Port {
	var ports []Port
	for _, l := range list {
		if n := l.GetPort(); n > 0 && n <= 65535 && len(ports) < Most {
			ports = append(ports, Port{Number: uint16(n), UDP: l.GetUdp(), Loopback: l.GetLoopback()})
		}
	}
	return ports
}

// ToAPI is the reverse of FromAPI.
func ToAPI(ports []Port) []*api.Listener {
	var list []*api.Listener
	for _, p := range ports {
		list = append(list, &api.Listener{Port: uint32(p.Number), Udp: p.UDP, Loopback: p.Loopback})
	}
	return list
}

// ports is what the listeners say, sorted: each port once, on localhost only if
// no listener of it is elsewhere. Sockets on other addresses of the loopback,
// UDP sockets on the loopback and those that a client got from its kernel are
// nothing that the node could lead to.
func ports(listeners []sockets.Listener, ephemeral portRange) []Port {
	type socket struct {
		number uint16
		udp    bool
	}
	loopback := map[socket]bool{}
	for _, l := range listeners {
		addr, s := l.Addr.Addr(), socket{l.Addr.Port(), l.UDP}
		switch {
		case l.UDP && (addr.IsLoopback() || ephemeral.contains(s.number)):
		case !addr.IsLoopback():
			loopback[s] = false
		case addr == localhost4 || addr == localhost6:
			if _, known := loopback[s]; !known {
				loopback[s] = true
			}
		}
	}
	var out []Port
	for s, l := range loopback {
		out = append(out, Port{Number: s.number, UDP: s.udp, Loopback: l})
	}
	slices.SortFunc(out, comparePorts)
	return out[:min(len(out), Most)]
}

// portRange is the ports that the kernel gives to clients.
type portRange struct{ first, last uint16 }

func (r portRange) contains(port uint16) bool { return port >= r.first && port <= r.last }

// ephemeralPorts reads the range, or returns the kernel's default one.
func ephemeralPorts() portRange {
	r := portRange{32768, 60999}
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) != 2 {
		return r
	}
	first, err1 := strconv.ParseUint(fields[0], 10, 16)
	last, err2 := strconv.ParseUint(fields[1], 10, 16)
	if err1 != nil || err2 != nil {
		return r
	}
	return portRange{uint16(first), uint16(last)}
}
