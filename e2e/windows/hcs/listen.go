package hcs

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// listener is a socket of the host that awaits one VM's guest on one service.
type listener struct {
	sys  *system
	conn net.Conn // of the host's process: guests' connections are announced on it

	mu sync.Mutex // held while announcing
}

func listenerKey(runtimeID, service string) string { return strings.ToLower(runtimeID + " " + service) }

// hear is a listening socket of AF_HYPERV, bound to a VM and a service: it lasts as
// long as the request's connection, on which every connection of that VM's guest is
// announced by a name for fetch.
func (s *Server) hear(conn net.Conn, args []string) {
	if len(args) != 2 {
		_ = answer(conn, invalidArgument, "")
		return
	}
	key := listenerKey(args[0], args[1])
	l := &listener{conn: conn}
	if code := s.bind(l, key, args[0], args[1]); code != ok {
		s.logf("listen %q: %d", args, code)
		_ = answer(conn, code, "")
		return
	}
	if answer(conn, ok, "") == nil {
		_, _ = io.Copy(io.Discard, conn) // until the host closes it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, key)
}

// Winsock's numbers for a socket that cannot be bound.
const (
	wsaInUse       result = 10048
	wsaUnreachable result = 10065
)

// bind registers a listener, if the VM's document lets administrators bind the service.
func (s *Server) bind(l *listener, key, runtimeID, service string) result {
	if uuid.Validate(service) != nil {
		return invalidArgument
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sys := range s.systems {
		if strings.EqualFold(sys.runtimeID, runtimeID) && sys.state != stopped {
			l.sys = sys
		}
	}
	switch {
	case l.sys == nil:
		return wsaUnreachable
	case s.listeners[key] != nil:
		return wsaInUse
	}
	sockets := l.sys.document.VirtualMachine.Devices.HvSocket
	if sockets == nil {
		return wsaAccess
	}
	descriptor := sockets.HvSocketConfig.DefaultBindSecurityDescriptor
	entry, listed := sockets.HvSocketConfig.ServiceTable[strings.ToLower(service)]
	if listed {
		descriptor = entry.BindSecurityDescriptor
	}
	if entry.Disabled || !strings.Contains(descriptor, "(A;;FA;;;BA)") {
		return wsaAccess
	}
	s.listeners[key] = l
	return ok
}

// dialHost is a guest's connection to a service that the host listens on.
func (s *Server) dialHost(runtimeID, service string) (net.Conn, error) {
	name := uuid.NewString()
	call := make(chan net.Conn, 1)
	s.mu.Lock()
	l := s.listeners[listenerKey(runtimeID, service)]
	s.calls[name] = call
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.calls, name)
	}()
	if l == nil {
		return nil, errors.New("nobody listens")
	}
	l.mu.Lock()
	err := answer(l.conn, ok, name)
	l.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("the listener is gone: %w", err)
	}
	select {
	case conn := <-call:
		return conn, nil
	case <-time.After(dialTime):
		return nil, errors.New("nobody accepts")
	}
}

// fetch hands a request's connection to the guest that was announced by that name.
func (s *Server) fetch(conn net.Conn, args []string) {
	s.mu.Lock()
	var call chan net.Conn
	if len(args) == 1 {
		call = s.calls[args[0]]
		delete(s.calls, args[0])
	}
	s.mu.Unlock()
	if call == nil {
		_ = answer(conn, invalidArgument, "no such connection")
		return
	}
	if answer(conn, ok, "") != nil {
		return
	}
	held := &heldConn{TCPConn: conn.(*net.TCPConn), closed: make(chan struct{})}
	call <- held
	<-held.closed // whoever serves a request closes its connection
}

// heldConn tells when it is closed.
type heldConn struct {
	*net.TCPConn
	once   sync.Once
	closed chan struct{}
}

func (c *heldConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.TCPConn.Close()
}

// testDial makes the request's connection a guest's to the host, for tests that play the guest.
func (s *Server) testDial(conn net.Conn, args []string) {
	if len(args) != 2 {
		_ = answer(conn, invalidArgument, strconv.Itoa(len(args)))
		return
	}
	inner, err := s.dialHost(args[0], args[1])
	if err != nil {
		_ = answer(conn, wsaRefused, err.Error())
		return
	}
	defer inner.Close()
	if answer(conn, ok, "") == nil {
		splice(conn, inner)
	}
}
