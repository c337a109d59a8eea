package tap

import (
	"fmt"
	"net"
)

// validMAC refuses what a guest's NIC could not have.
func validMAC(mac net.HardwareAddr) error {
	if len(mac) != 6 || mac[0]&1 != 0 {
		return fmt.Errorf("hardware address %q is not a unicast Ethernet address", mac)
	}
	return nil
}
