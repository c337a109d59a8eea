package guestsockets

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/Microsoft/go-winio/pkg/guid"
)

// ErrTooMany: the VM has as many sockets as one may have.
var ErrTooMany = errors.New("too many sockets of one VM")

// maxSockets bounds a VM's listeners and connections together: a process has at most
// three, and one stays behind for each that its guest never dials.
const maxSockets = 4096

// Sockets are all that one VM's guest may dial. Its methods may be called concurrently.
type Sockets struct {
	vm     string
	listen func(service guid.GUID) (net.Listener, error)

	mu     sync.Mutex
	open   map[socket]bool
	closed bool
}

// socket is a *listener or a *conn.
type socket interface{ shut() error }

func newSockets(vm string, listen func(guid.GUID) (net.Listener, error)) *Sockets {
	return &Sockets{vm: vm, listen: listen, open: make(map[socket]bool)}
}

// Service awaits the guest on a socket service, a GUID.
func (s *Sockets) Service(id string) (net.Listener, error) {
	service, err := guid.FromString(id)
	if err != nil {
		return nil, fmt.Errorf("listen for VM %s on service %q: %w", s.vm, id, err)
	}
	return s.on(service)
}

// Port awaits the guest on the service that stands for a vsock port.
func (s *Sockets) Port(port uint32) (net.Listener, error) {
	return s.on(guid.GUID{ // winio.VsockServiceID, which builds on Windows only
		Data1: port, Data2: 0xfacb, Data3: 0x11e6,
		Data4: [8]byte{0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3},
	})
}

func (s *Sockets) on(service guid.GUID) (net.Listener, error) {
	l := &listener{sockets: s}
	if err := s.add(l); err != nil {
		return nil, fmt.Errorf("listen for VM %s on service %s: %w", s.vm, service, err)
	}
	inner, err := s.listen(service)
	if err != nil {
		s.drop(l)
		return nil, fmt.Errorf("listen for VM %s on service %s: %w", s.vm, service, err)
	}
	if !l.set(inner) { // Close came in between
		inner.Close()
		return nil, fmt.Errorf("listen for VM %s on service %s: %w", s.vm, service, net.ErrClosed)
	}
	return l, nil
}

// Close closes every listener and every connection that one has taken.
func (s *Sockets) Close() error {
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	var errs []error
	for o := range open {
		errs = append(errs, o.shut())
	}
	return errors.Join(errs...)
}

func (s *Sockets) add(o socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case len(s.open) >= maxSockets:
		return ErrTooMany
	}
	s.open[o] = true
	return nil
}

func (s *Sockets) drop(o socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, o)
}
