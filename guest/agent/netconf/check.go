//go:build linux

package netconf

import (
	"fmt"
	"net"

	"github.com/paddock-run/paddock/guest/api"
)

// Check finds what can never be applied, before anything is changed.
func Check(conf *api.Network) error {
	names := map[string]bool{"lo": true}
	for _, itf := range conf.GetInterfaces() {
		if len(itf.Name) == 0 || len(itf.Name) > 15 {
			return fmt.Errorf("interface name %q: want 1 to 15 characters", itf.Name)
		}
		if len(itf.Mac) != 6 || len(itf.GuestMac) != 0 && len(itf.GuestMac) != 6 {
			return fmt.Errorf("interface %s: a hardware address has 6 bytes", itf.Name)
		}
		for _, cidr := range itf.Addresses {
			if _, _, err := net.ParseCIDR(cidr); err != nil {
				return fmt.Errorf("interface %s: %w", itf.Name, err)
			}
		}
		names[itf.Name] = true
	}
	for _, r := range conf.GetRoutes() {
		if _, _, err := net.ParseCIDR(r.Destination); err != nil {
			return fmt.Errorf("route: %w", err)
		}
		if r.Gateway != "" && net.ParseIP(r.Gateway) == nil {
			return fmt.Errorf("route to %s: gateway %q is not an address", r.Destination, r.Gateway)
		}
		if !names[r.Interface] {
			return fmt.Errorf("route to %s: no interface %q in the request", r.Destination, r.Interface)
		}
	}
	return nil
}
