//go:build linux

package netconf

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/paddock-run/paddock/guest/api"
)

// Rehearse configures the interface with that hardware address as a pod's may
// be, and takes it back: addresses of documentation's (RFC 5737, RFC 3849).
func Rehearse(ctx context.Context, mac []byte) error {
	link, err := waitLink(ctx, mac)
	if err != nil {
		return err
	}
	was := link.Attrs().Name
	other := append([]byte(nil), mac...)
	other[5] ^= 0x80
	conf := &api.Network{
		Interfaces: []*api.Interface{{Name: "rehearsal0", Mac: mac, GuestMac: other, Mtu: 1400,
			Addresses: []string{"192.0.2.2/24", "2001:db8::2/64"}}},
		Routes: []*api.Route{{Destination: "0.0.0.0/0", Gateway: "192.0.2.1", Interface: "rehearsal0"},
			{Destination: "::/0", Gateway: "2001:db8::1", Interface: "rehearsal0"}},
	}
	err = Apply(ctx, conf)
	back := &api.Interface{Name: was, Mac: other, GuestMac: mac, Mtu: uint32(link.Attrs().MTU)}
	return errors.Join(err, takeBack(ctx, back))
}

// takeBack removes all addresses, and the routes with them, and leaves the link down.
func takeBack(ctx context.Context, as *api.Interface) error {
	if err := applyInterface(ctx, as); err != nil {
		return err
	}
	link, err := waitLink(ctx, as.GuestMac)
	if err != nil {
		return err
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("remove address %s: %w", a, err)
		}
	}
	return netlink.LinkSetDown(link)
}
