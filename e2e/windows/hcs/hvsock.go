package hcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paddock-run/paddock/guest/channel"
)

// Winsock's numbers for a connection that fails.
const (
	wsaAccess  result = 10013
	wsaRefused result = 10061
	wsaTimeout result = 10060
)

// dialTime bounds a connection to a guest that is still booting.
const dialTime = 5 * time.Second

// connect is an AF_HYPERV connection to a service of a running system, by its
// RuntimeId: afterwards the request's connection carries it.
func (s *Server) connect(conn net.Conn, args []string) {
	if len(args) != 2 {
		_ = answer(conn, invalidArgument, "")
		return
	}
	m, port, code := s.service(args[0], args[1])
	if code != ok {
		s.logf("connect %q: %d", args, code)
		_ = answer(conn, code, "")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	inner, err := m.dial(ctx, port)
	if err != nil {
		code := wsaTimeout
		if errors.Is(err, channel.ErrRefused) {
			code = wsaRefused
		}
		_ = answer(conn, code, "")
		return
	}
	defer inner.Close()
	if answer(conn, ok, "") == nil {
		splice(conn, inner)
	}
}

// service finds the machine, and the guest's port, if its document lets administrators connect.
func (s *Server) service(runtimeID, service string) (*machine, uint32, result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sys := range s.systems {
		if !strings.EqualFold(sys.runtimeID, runtimeID) || sys.state != running {
			continue
		}
		sockets := sys.document.VirtualMachine.Devices.HvSocket
		if sockets == nil {
			return nil, 0, wsaAccess
		}
		entry, listed := sockets.HvSocketConfig.ServiceTable[strings.ToLower(service)]
		descriptor := sockets.HvSocketConfig.DefaultConnectSecurityDescriptor
		if listed {
			descriptor = entry.ConnectSecurityDescriptor
		}
		if entry.Disabled || !strings.Contains(descriptor, "(A;;FA;;;BA)") {
			return nil, 0, wsaAccess
		}
		port, err := servicePort(service)
		if err != nil {
			return nil, 0, wsaRefused
		}
		return sys.machine, port, ok
	}
	return nil, 0, wsaRefused
}

// servicePort is the vsock port that a service GUID stands for in a Linux guest.
func servicePort(service string) (uint32, error) {
	head, found := strings.CutSuffix(strings.ToLower(service), "-facb-11e6-bd58-64006a7986d3")
	port, err := strconv.ParseUint(head, 16, 32)
	if !found || err != nil {
		return 0, fmt.Errorf("service %s is no vsock port", service)
	}
	return uint32(port), nil
}

// splice carries both directions, each to its own end.
func splice(a, b net.Conn) {
	var work sync.WaitGroup
	half := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if w, can := to.(channel.CloseWriter); can && err == nil {
			_ = w.CloseWrite()
			return
		}
		to.Close()
		from.Close()
	}
	work.Go(func() { half(a, b) })
	work.Go(func() { half(b, a) })
	work.Wait()
}
