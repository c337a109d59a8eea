package vmtest

import (
	"fmt"
	"net"
)

// pipe returns two ends of a connection that buffers and closes each half on
// its own, as a guest's connections do and net.Pipe's do not.
func pipe() (host, guest net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("open a local pipe: %w", err)
	}
	defer l.Close()
	host, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, fmt.Errorf("open a local pipe: %w", err)
	}
	for {
		guest, err = l.Accept()
		if err != nil {
			host.Close()
			return nil, nil, fmt.Errorf("open a local pipe: %w", err)
		}
		if guest.RemoteAddr().String() == host.LocalAddr().String() {
			return host, guest, nil
		}
		guest.Close() // somebody else of this machine
	}
}
