package tap

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/network"
)

// reservation holds a port on the node, as the socket of a process of the node
// would: it cannot be had while one has it, and none can have it meanwhile.
type reservation []io.Closer

func (r reservation) release() {
	for _, c := range r {
		c.Close()
	}
}

// reserve claims a port, in both families unless it is for localhost only.
func reserve(p network.HostPort) (reservation, error) {
	var r reservation
	steps := []func(network.HostPort) (io.Closer, error){reserveTCP4, reserveTCP6}
	switch {
	case p.Protocol == network.UDP:
		steps = []func(network.HostPort) (io.Closer, error){reserveUDP4, reserveUDP6}
	case p.Protocol != network.TCP:
		return nil, fmt.Errorf("%s is not forwarded in host mode", p.Protocol)
	}
	if p.Loopback {
		steps = steps[:1]
	}
	for i, step := range steps {
		c, err := step(p)
		if i == 1 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
			continue // no IPv6 on this node
		}
		if errors.Is(err, unix.EADDRINUSE) {
			err = errors.New("in use on the node")
		}
		if err != nil {
			r.release()
			return nil, err
		}
		r = append(r, c)
	}
	return r, nil
}

func address4(p network.HostPort) string {
	host := "0.0.0.0"
	if p.Loopback {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(int(p.Port)))
}

// reserveTCP4 listens, so that the port shows in ss(8) and in other pods.
// Rules lead connections elsewhere: one that comes here came before them and is reset.
func reserveTCP4(p network.HostPort) (io.Closer, error) {
	l, err := net.Listen("tcp4", address4(p))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}()
	return l, nil
}

// reserveTCP6 binds and does not listen: rules cannot lead ::1 to a guest, and
// a client that is refused there at once tries 127.0.0.1 next.
func reserveTCP6(p network.HostPort) (io.Closer, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet6{Port: int(p.Port)})
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "reserved:"+p.String()), nil
}

func reserveUDP4(p network.HostPort) (io.Closer, error) {
	return net.ListenPacket("udp4", address4(p))
}

func reserveUDP6(p network.HostPort) (io.Closer, error) {
	return net.ListenPacket("udp6", net.JoinHostPort("::", strconv.Itoa(int(p.Port))))
}
