package tap

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// All functions here run in the sandbox's namespace.

// readInterface tells what CNI made of a link: the guest gets the same.
func readInterface(name string) (network.Interface, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return network.Interface{}, fmt.Errorf("interface %s that CNI reported: %w", name, err)
	}
	attrs := link.Attrs()
	if err := validMAC(attrs.HardwareAddr); err != nil {
		return network.Interface{}, fmt.Errorf("interface %s: %w; a VM needs an Ethernet interface", name, err)
	}
	iface := network.Interface{Name: name, MAC: attrs.HardwareAddr, MTU: attrs.MTU}
	if iface.Addresses, err = addresses(link); err != nil {
		return network.Interface{}, fmt.Errorf("addresses of %s: %w", name, err)
	}
	if iface.Routes, err = routes(link); err != nil {
		return network.Interface{}, fmt.Errorf("routes of %s: %w", name, err)
	}
	return iface, nil
}

func addresses(link netlink.Link) ([]netip.Prefix, error) {
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok || ip.Is6() && ip.IsLinkLocalUnicast() {
			continue // the kernel's own
		}
		ones, _ := a.Mask.Size()
		out = append(out, netip.PrefixFrom(ip.Unmap(), ones))
	}
	return out, nil
}

func routes(link netlink.Link) ([]network.Route, error) {
	list, err := netlink.RouteList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var out []network.Route
	for _, r := range list {
		if r.Protocol == unix.RTPROT_KERNEL || r.Type != unix.RTN_UNICAST {
			continue
		}
		route := network.Route{MTU: r.MTU, Priority: r.Priority}
		if r.Gw != nil {
			gw, _ := netip.AddrFromSlice(r.Gw)
			route.Gateway = gw.Unmap()
		}
		switch {
		case r.Dst != nil:
			ip, _ := netip.AddrFromSlice(r.Dst.IP)
			ones, _ := r.Dst.Mask.Size()
			route.Destination = netip.PrefixFrom(ip.Unmap(), ones)
		case r.Family == netlink.FAMILY_V6:
			route.Destination = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		default:
			route.Destination = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		out = append(out, route)
	}
	// A gateway that only a route on link reaches needs that route first.
	slices.SortStableFunc(out, func(a, b network.Route) int {
		return cmp.Compare(rank(a), rank(b))
	})
	return out, nil
}

func rank(r network.Route) int {
	if r.Gateway.IsValid() {
		return 1
	}
	return 0
}

// addTap makes a tap beside an interface and redirects all packets between the
// two. The tap lasts as long as a file of it is open.
func addTap(index int, iface *network.Interface) error {
	file, err := openTap(tapName(index))
	if err != nil {
		return err
	}
	if err := joinTap(tapName(index), iface); err != nil {
		file.Close()
		return err
	}
	iface.Endpoint = vm.TapEndpoint{File: file}
	return nil
}

func tapName(index int) string { return fmt.Sprintf("tap%d", index) }

func openTap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w; load the tun module", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make tap %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun:"+name), nil
}

func joinTap(tap string, iface *network.Interface) error {
	tapLink, err := netlink.LinkByName(tap)
	if err != nil {
		return fmt.Errorf("find %s: %w", tap, err)
	}
	podLink, err := netlink.LinkByName(iface.Name)
	if err != nil {
		return fmt.Errorf("find %s: %w", iface.Name, err)
	}
	if err := netlink.LinkSetMTU(tapLink, iface.MTU); err != nil {
		return fmt.Errorf("set MTU %d of %s: %w", iface.MTU, tap, err)
	}
	if err := quiet(tap, iface.Name); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(tapLink); err != nil {
		return fmt.Errorf("bring %s up: %w", tap, err)
	}
	if err := redirect(podLink, tapLink); err != nil {
		return err
	}
	return redirect(tapLink, podLink)
}

// quiet keeps the namespace's own IPv6 stack from speaking in the guest's place.
func quiet(tapName, podName string) error {
	for path, value := range map[string]string{
		filepath.Join(tapName, "disable_ipv6"):         "1",
		filepath.Join(podName, "accept_ra"):            "0",
		filepath.Join(podName, "autoconf"):             "0",
		filepath.Join(podName, "router_solicitations"): "0",
	} {
		err := os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", path), []byte(value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set sysctl net.ipv6.conf.%s: %w", path, err)
		}
	}
	return nil
}

// redirect sends what arrives on from out of to. The u32 classifier with no
// key matches every packet and, unlike matchall, is on every kernel.
func redirect(from, to netlink.Link) error {
	index := from.Attrs().Index
	if err := netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Parent: netlink.HANDLE_INGRESS, Handle: netlink.MakeHandle(0xffff, 0),
	}}); err != nil {
		return fmt.Errorf("add ingress qdisc to %s: %w; the sch_ingress module is needed", from.Attrs().Name, err)
	}
	if err := netlink.FilterAdd(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.MakeHandle(0xffff, 0), Protocol: unix.ETH_P_ALL},
		Actions: []netlink.Action{&netlink.MirredAction{
			ActionAttrs:  netlink.ActionAttrs{Action: netlink.TC_ACT_STOLEN},
			MirredAction: netlink.TCA_EGRESS_REDIR,
			Ifindex:      to.Attrs().Index,
		}},
	}); err != nil {
		return fmt.Errorf("redirect %s to %s: %w; the cls_u32 and act_mirred modules are needed", from.Attrs().Name, to.Attrs().Name, err)
	}
	return nil
}

// loopbackUp brings lo up, which every network namespace of a pod has.
func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}
