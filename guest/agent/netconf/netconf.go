//go:build linux

package netconf

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/api"
)

// linkTimeout bounds the wait for an interface that the host says it attached.
const linkTimeout = 10 * time.Second

// Apply brings lo up and configures every interface and route. It may be
// repeated with the same configuration.
func Apply(ctx context.Context, conf *api.Network) error {
	if err := upLoopback(); err != nil {
		return err
	}
	for _, itf := range conf.GetInterfaces() {
		if err := applyInterface(ctx, itf); err != nil {
			return fmt.Errorf("interface %s (%s): %w", itf.Name, net.HardwareAddr(itf.Mac), err)
		}
	}
	// A gateway is reachable only once the on-link routes stand.
	routes := slices.Clone(conf.GetRoutes())
	slices.SortStableFunc(routes, func(a, b *api.Route) int { return cmp.Compare(min(len(a.Gateway), 1), min(len(b.Gateway), 1)) })
	for _, r := range routes {
		if err := applyRoute(r); err != nil {
			return fmt.Errorf("route to %s via %q on %s: %w", r.Destination, r.Gateway, r.Interface, err)
		}
	}
	return nil
}

// Move moves every interface to a network namespace. It may be repeated.
func Move(ctx context.Context, conf *api.Network, to *os.File) error {
	for _, itf := range conf.GetInterfaces() {
		if err := move(ctx, itf, to); err != nil {
			return fmt.Errorf("interface %s (%s): %w", itf.Name, net.HardwareAddr(itf.Mac), err)
		}
	}
	return nil
}

func move(ctx context.Context, itf *api.Interface, to *os.File) error {
	there, err := netlink.NewHandleAt(netns.NsHandle(to.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("look into the pod's network namespace: %w", err)
	}
	defer there.Close()
	links, err := there.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list the pod's interfaces: %w", err)
	}
	if findLink(links, itf.Mac, itf.GuestMac) != nil {
		return nil
	}
	link, err := waitLink(ctx, itf.Mac, itf.GuestMac)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetNsFd(link, int(to.Fd())); err != nil {
		return fmt.Errorf("move it to the pod's network namespace: %w", err)
	}
	return nil
}

func upLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

func applyInterface(ctx context.Context, itf *api.Interface) error {
	link, err := waitLink(ctx, itf.Mac, itf.GuestMac)
	if err != nil {
		return err
	}
	// Name and hardware address change only while the link is down.
	rename := itf.Name != "" && link.Attrs().Name != itf.Name
	readdress := len(itf.GuestMac) > 0 && !bytes.Equal(link.Attrs().HardwareAddr, itf.GuestMac)
	if rename || readdress {
		if err := netlink.LinkSetDown(link); err != nil {
			return fmt.Errorf("bring down: %w", err)
		}
	}
	if readdress {
		if err := netlink.LinkSetHardwareAddr(link, itf.GuestMac); err != nil {
			return fmt.Errorf("set the hardware address %s: %w", net.HardwareAddr(itf.GuestMac), err)
		}
	}
	if rename {
		if err := netlink.LinkSetName(link, itf.Name); err != nil {
			return fmt.Errorf("rename %s: %w", link.Attrs().Name, err)
		}
	}
	if itf.Mtu != 0 {
		if err := netlink.LinkSetMTU(link, int(itf.Mtu)); err != nil {
			return fmt.Errorf("set MTU %d: %w", itf.Mtu, err)
		}
	}
	// Duplicate address detection would hold an IPv6 address back for a second; CNI's IPAM has assigned it for us alone.
	os.WriteFile("/proc/sys/net/ipv6/conf/"+itf.Name+"/accept_dad", []byte("0"), 0)
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up: %w", err)
	}
	for _, cidr := range itf.Addresses {
		if err := addAddress(link, cidr); err != nil {
			return fmt.Errorf("address %s: %w", cidr, err)
		}
	}
	return nil
}

func addAddress(link netlink.Link, cidr string) error {
	addr, err := netlink.ParseAddr(cidr)
	if err != nil {
		return err
	}
	if addr.IP.To4() == nil {
		addr.Flags |= unix.IFA_F_NODAD
	}
	return netlink.AddrReplace(link, addr)
}

// waitLink finds the interface by either address: a repeat of the same request finds it readdressed.
func waitLink(ctx context.Context, macs ...[]byte) (netlink.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	for {
		links, err := netlink.LinkList()
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list interfaces: %w", err)
		}
		if link := findLink(links, macs...); link != nil {
			return link, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no such interface appeared: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// findLink finds the link that has one of the addresses; nil if none has.
func findLink(links []netlink.Link, macs ...[]byte) netlink.Link {
	for _, link := range links {
		for _, mac := range macs {
			if len(mac) > 0 && bytes.Equal(link.Attrs().HardwareAddr, mac) {
				return link
			}
		}
	}
	return nil
}

func applyRoute(r *api.Route) error {
	link, err := netlink.LinkByName(r.Interface)
	if err != nil {
		return err
	}
	_, dst, err := net.ParseCIDR(r.Destination)
	if err != nil {
		return err
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, MTU: int(r.Mtu), Priority: int(r.Priority)}
	if r.Gateway == "" {
		route.Scope = netlink.SCOPE_LINK
	} else if route.Gw = net.ParseIP(r.Gateway); route.Gw == nil {
		return fmt.Errorf("gateway %q is not an address", r.Gateway)
	}
	if dst.IP.To4() == nil {
		route.Scope = netlink.SCOPE_UNIVERSE
	}
	return netlink.RouteReplace(route)
}
