package hcs

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/vishvananda/netlink"
)

// Endpoints finds an endpoint of the network's service: its bridge ("" for none)
// and its hardware address, or false.
type Endpoints func(id string) (bridge, mac string, found bool)

// endpoint looks an endpoint up with the network's service, or among those of the tests.
func (s *Server) endpoint(id string) (bridge, mac string, bad *refusal) {
	id = strings.ToLower(id)
	s.mu.Lock()
	find := s.Endpoints
	mac, isTest := s.testEndpoints[id]
	s.mu.Unlock()
	if isTest {
		return "", mac, nil
	}
	if find != nil {
		if bridge, mac, found := find(id); found {
			return bridge, mac, nil
		}
	}
	return "", "", refuse(result(0x803B0002), "no endpoint %s", id) // HCN_E_ENDPOINT_NOT_FOUND
}

// makeTap makes a tap device, on a bridge if one is named.
func makeTap(bridge string) (string, error) {
	link := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: "hcs" + uuid.NewString()[:8]},
		Mode:      netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_DEFAULTS | netlink.TUNTAP_VNET_HDR,
	}
	if bridge != "" {
		b, err := netlink.LinkByName(bridge)
		if err != nil {
			return "", fmt.Errorf("bridge %s: %w", bridge, err)
		}
		link.MasterIndex = b.Attrs().Index
	}
	if err := netlink.LinkAdd(link); err != nil {
		return "", fmt.Errorf("make a tap device: %w", err)
	}
	for _, f := range link.Fds {
		f.Close()
	}
	if err := netlink.LinkSetUp(link); err != nil {
		removeLink(link.Name)
		return "", err
	}
	return link.Name, nil
}

func removeLink(name string) {
	if link, err := netlink.LinkByName(name); err == nil {
		_ = netlink.LinkDel(link)
	}
}
