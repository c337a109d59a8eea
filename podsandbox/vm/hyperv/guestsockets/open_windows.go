package guestsockets

import (
	"errors"
	"fmt"
	"net"

	"github.com/Microsoft/go-winio"
	"github.com/Microsoft/go-winio/pkg/guid"
)

// Open is for the VM of that RuntimeId, which must exist. Close it when the VM has ended.
func Open(runtimeID string) (*Sockets, error) {
	vm, err := guid.FromString(runtimeID)
	if err == nil && vm == winio.HvsockGUIDWildcard() {
		err = errors.New("it stands for every VM")
	}
	if err != nil {
		return nil, fmt.Errorf("listen for a VM's guest: RuntimeId %q: %w", runtimeID, err)
	}
	return newSockets(runtimeID, func(service guid.GUID) (net.Listener, error) {
		return listenHvsock(&winio.HvsockAddr{VMID: vm, ServiceID: service})
	}), nil
}
