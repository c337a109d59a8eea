package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/network/cni"
)

// All functions here run in the node's network namespace, but where they say otherwise.

// makeHostLink makes a sandbox's link: one end on the node, the other as eth0 in the sandbox's namespace.
func makeHostLink(netns string, l hostLink) error {
	ns, err := os.Open(netns)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = l.Name, uplinkMTU()
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: cni.IfName, PeerNamespace: netlink.NsFd(ns.Fd())}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("make link %s: %w", l.Name, err)
	}
	for path, value := range map[string]string{
		"ipv4/conf/%s/route_localnet":   "1",
		"ipv4/conf/%s/accept_redirects": "0",
		"ipv6/conf/%s/accept_ra":        "0",
		"ipv6/conf/%s/accept_redirects": "0",
	} {
		if err := setSysctl(fmt.Sprintf(path, l.Name), value); err != nil {
			return err
		}
	}
	if err := upWith(l.Name, l.Node4, l.Node6); err != nil {
		return err
	}
	return inNetNS(netns, func() error {
		if err := upWith(cni.IfName, l.Guest4, l.Guest6); err != nil {
			return err
		}
		return defaultRoutes(cni.IfName, l.Node4.Addr(), l.Node6.Addr())
	})
}

// upWith gives an interface its addresses and brings it up. A kernel without IPv6 has no IPv6 address.
func upWith(name string, prefixes ...netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	for _, p := range prefixes {
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil && !noIPv6(p.Addr(), err) {
			return fmt.Errorf("give %s the address %s: %w", name, p, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	return nil
}

func defaultRoutes(name string, gateways ...netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, gw := range gateways {
		any := &net.IPNet{IP: make(net.IP, gw.BitLen()/8), Mask: net.CIDRMask(0, gw.BitLen())}
		err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: any, Gw: gw.AsSlice()})
		if err != nil && !noIPv6(gw, err) {
			return fmt.Errorf("default route of %s by %s: %w", name, gw, err)
		}
	}
	return nil
}

// noIPv6 tells errors of a node whose IPv6 is off, which has none to give.
func noIPv6(addr netip.Addr, err error) bool {
	return addr.Is6() && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) ||
		errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH))
}

// removeHostLink removes a sandbox's link; an absent one is fine.
func removeHostLink(name string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find link %s: %w", name, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove link %s: %w", name, err)
	}
	return nil
}

// uplinkMTU is the MTU of the interface that the default route takes.
func uplinkMTU() int {
	const usual = 1500
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, _ := netlink.RouteList(nil, family)
		for _, r := range list {
			if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
				continue
			}
			if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
				return link.Attrs().MTU
			}
		}
	}
	return usual
}

// usedPrefixes are the node's networks on link, for links not to overlap with.
func usedPrefixes() ([]netip.Prefix, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list the node's addresses: %w", err)
	}
	var out []netip.Prefix
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ones, _ := a.Mask.Size(); ok {
			out = append(out, netip.PrefixFrom(ip.Unmap(), ones))
		}
	}
	return out, nil
}

// enableForwarding makes the node route, as CNI's bridge does. An interface
// that learns its IPv6 routes from routers goes on doing so.
func enableForwarding() error {
	if err := setSysctl("ipv4/ip_forward", "1"); err != nil {
		return err
	}
	const forwarding = "/proc/sys/net/ipv6/conf/all/forwarding"
	if now, err := os.ReadFile(forwarding); err != nil || strings.TrimSpace(string(now)) == "1" {
		return nil // on already, or no IPv6
	}
	files, err := filepath.Glob("/proc/sys/net/ipv6/conf/*/accept_ra")
	if err != nil {
		return err
	}
	for _, file := range files {
		if now, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(now)) == "1" {
			if err := os.WriteFile(file, []byte("2"), 0); err != nil {
				return fmt.Errorf("keep %s on: %w", file, err)
			}
		}
	}
	return setSysctl("ipv6/conf/all/forwarding", "1")
}

// setSysctl sets a value below net; a kernel without it is fine.
func setSysctl(path, value string) error {
	err := os.WriteFile(filepath.Join("/proc/sys/net", path), []byte(value), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("set sysctl net/%s: %w", path, err)
	}
	return nil
}

// applyRules has nft read rules, in one transaction.
func applyRules(ctx context.Context, rules string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(rules), &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("set the rules of the host network: nft: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
