package tap

import (
	"github.com/containernetworking/cni/libcni"
	"github.com/vishvananda/netlink"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/cni"
)

// recoverRecord makes up for a damaged record from libcni's cache. Where that
// has nothing either, the present configuration's plugins are asked to release
// what they hold for the sandbox's id; nil if there is none.
func (n *Network) recoverRecord(id string) (*record, error) {
	r := &record{Request: network.Request{SandboxID: id}}
	if _, err := netlink.LinkByName(hostLinkName(id)); err == nil {
		r.Host = &hostRecord{}
		return r, nil
	}
	cached, err := n.cni.GetCachedAttachments(id)
	if err != nil {
		return nil, err
	}
	if len(cached) > 0 {
		c := cached[0]
		r.Conf = c.Config
		r.cached = &libcni.RuntimeConf{ContainerID: id, IfName: c.IfName, Args: c.CniArgs, CapabilityArgs: c.CapabilityArgs}
		return r, nil
	}
	list, err := cni.LoadConf(n.cfg.ConfDir)
	if err != nil {
		return nil, nil // the namespace is removed all the same
	}
	r.Conf = list.Bytes
	return r, nil
}

// runtimeConf is what DEL is told: the same as ADD was.
func (r *record) runtimeConf(netns string) *libcni.RuntimeConf {
	if r.cached == nil {
		return cni.RuntimeConf(r.Request, netns)
	}
	rt := *r.cached
	rt.NetNS = netns
	return &rt
}
