package tap

import (
	"fmt"

	"github.com/containernetworking/cni/libcni"
	cnitypes "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"github.com/paddock-run/paddock/network/cni"
)

// standIn makes a network namespace in the place of one that is gone, whose eth0
// has the addresses that ADD's cached result tells. The bridge plugin finds the
// masquerade rules it made by the addresses that it reads there, and without
// them leaves the rules behind.
func (n *Network) standIn(list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) error {
	cached, err := n.cni.GetNetworkListCachedResult(list, rt)
	if err != nil || cached == nil {
		return err
	}
	result, err := cnitypes.NewResultFromResult(cached)
	if err != nil {
		return err
	}
	if err := makeNetNS(rt.NetNS); err != nil {
		return err
	}
	return inNetNS(rt.NetNS, func() error {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: cni.IfName}, PeerName: "standin"}
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("make %s: %w", cni.IfName, err)
		}
		for _, ip := range result.IPs {
			address := ip.Address
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: &address}); err != nil {
				return fmt.Errorf("give %s the address %s: %w", cni.IfName, address.String(), err)
			}
		}
		return nil
	})
}
