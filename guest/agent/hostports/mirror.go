//go:build linux

package hostports

import (
	"net/netip"
	"sync"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/sockets"
)

// mostConnections bounds what is relayed at once.
const mostConnections = 1024

// Mirror holds a guest's relays.
type Mirror struct {
	node  netip.Addr   // leads to the node's localhost
	link  []netip.Addr // the guest's own addresses, which the node knows
	slots chan struct{}

	mu     sync.Mutex
	relays map[relayKey]*relay
}

// relayKey is where a relay listens; an invalid address: everywhere.
type relayKey struct {
	addr   netip.Addr
	port   uint16
	inward bool // leads to the pod's localhost, not to the node
}

// New returns a Mirror without relays. node is the node's end of the link, link the guest's addresses on it.
func New(node netip.Addr, link []netip.Addr) *Mirror {
	return &Mirror{node: node, link: link, slots: make(chan struct{}, mostConnections), relays: map[relayKey]*relay{}}
}

// SetNode replaces what the node listens on. A port that a process of the guest has bound stays that process's.
func (m *Mirror) SetNode(ports []Port) {
	wanted := map[relayKey]bool{}
	for _, p := range ports {
		if p.UDP {
			continue
		}
		key := relayKey{port: p.Number}
		if p.Loopback {
			key.addr = localhost4
		}
		wanted[key] = true
	}
	m.set(wanted, false)
}

// Scan tells what the guest's processes listen on, sorted, and lets the node reach what listens on localhost only.
func (m *Mirror) Scan() ([]Port, error) {
	all, err := sockets.Listening()
	if err != nil {
		return nil, err
	}
	found := ports(m.foreign(all), ephemeralPorts())
	wanted := map[relayKey]bool{}
	for _, p := range found {
		if p.Loopback {
			for _, addr := range m.link {
				wanted[relayKey{addr: addr, port: p.Number, inward: true}] = true
			}
		}
	}
	m.set(wanted, true)
	return found, nil
}

// foreign leaves the relays' own listeners out.
func (m *Mirror) foreign(all []sockets.Listener) []sockets.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := map[netip.AddrPort]bool{}
	for _, r := range m.relays {
		own[r.listening()] = true
	}
	var rest []sockets.Listener
	for _, l := range all {
		if l.UDP || !own[l.Addr] {
			rest = append(rest, l)
		}
	}
	return rest
}

// set makes the relays of one direction those wanted.
func (m *Mirror) set(wanted map[relayKey]bool, inward bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.relays {
		if key.inward == inward && !wanted[key] {
			r.close()
			delete(m.relays, key)
		}
	}
	for key := range wanted {
		if m.relays[key] != nil {
			continue
		}
		r, err := m.listen(key)
		if err != nil { // a process of the pod has it; tried again with the next call
			klog.V(2).InfoS("Cannot show a listener of the node", "port", key.port, "err", err)
			continue
		}
		m.relays[key] = r
	}
}

// Close ends every relay.
func (m *Mirror) Close() {
	m.set(nil, false)
	m.set(nil, true)
}
