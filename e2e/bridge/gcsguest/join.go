//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/channel"
)

// Ports that are joined: the bridge's, and those of as many streams as a test opens.
const (
	firstPort = 0x40000000
	ports     = 128
)

func joinPorts() error {
	device, err := port()
	if err != nil {
		return err
	}
	wire, err := channel.OpenPort(device)
	if err != nil {
		return err
	}
	mux := channel.NewGuestMux(wire)
	for p := range uint32(ports) {
		host, err := mux.Listen(firstPort + p)
		if err != nil {
			return err
		}
		service, err := vsock.ListenContextID(unix.VMADDR_CID_ANY, firstPort+p, nil)
		if err != nil {
			return fmt.Errorf("listen on vsock port %#x: %w", firstPort+p, err)
		}
		go join(host, service)
	}
	return nil
}

// port is the channel's virtio-serial port, which appears when its driver is ready.
func port() (string, error) {
	for range 200 {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range names {
			if b, _ := os.ReadFile(name); strings.TrimSpace(string(b)) == "paddock.agent" {
				return "/dev/" + filepath.Base(filepath.Dir(name)), nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", errors.New("no virtio-serial port for the channel")
}

// join joins a port's connections in the order they come.
func join(host, service net.Listener) {
	for {
		h, err := host.Accept()
		if err != nil {
			return
		}
		s, err := service.Accept()
		if err != nil {
			h.Close()
			return
		}
		go copyHalf(s, h)
		go copyHalf(h, s)
	}
}

// copyHalf copies one direction, and its end.
func copyHalf(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	_ = to.(interface{ CloseWrite() error }).CloseWrite()
}
