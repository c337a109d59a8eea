//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
)

// Names of the virtio-serial ports that carry the multiplexed channel. The
// second one exists so that another process of the host can serve file shares.
const (
	mainPort  = "paddock.agent"
	sharePort = "paddock.share"
)

// portTimeout bounds the wait for the kernel to name its virtio-serial ports.
const portTimeout = 5 * time.Second

// Listen opens the VM's channels and serves them until one fails.
func (a *Agent) Listen(ctx context.Context) error {
	failed := make(chan error, 4)
	serve := func(what string, f func() error) {
		go func() { failed <- fmt.Errorf("%s: %w", what, f()) }()
	}
	path, err := serialPort(ctx, mainPort)
	if err != nil {
		return err
	}
	if path != "" {
		control, streams, err := openMux(path)
		if err != nil {
			return err
		}
		serve("control port", func() error { return a.ServeControl(ctx, control) })
		serve("stream port", func() error { return a.ServeStreams(ctx, streams, false) })
	} else {
		control, err := channel.ListenVsock(api.ControlPort)
		if err != nil {
			return fmt.Errorf("no virtio-serial port %s, and: %w", mainPort, err)
		}
		streams, err := channel.ListenVsock(api.StreamPort)
		if err != nil {
			return err
		}
		serve("control port", func() error { return a.ServeControl(ctx, control) })
		serve("stream port", func() error { return a.ServeStreams(ctx, streams, false) })
	}
	go func() {
		if err := a.serveShares(ctx); err != nil {
			failed <- fmt.Errorf("share port: %w", err)
		}
	}()
	klog.InfoS("Ready")
	return <-failed
}

func openMux(path string) (control, streams net.Listener, err error) {
	wire, err := channel.OpenPort(path)
	if err != nil {
		return nil, nil, err
	}
	mux := channel.NewGuestMux(wire)
	if control, err = mux.Listen(api.ControlPort); err != nil {
		return nil, nil, err
	}
	streams, err = mux.Listen(api.StreamPort)
	return control, streams, err
}

// serveShares serves the second channel, if the VM has one.
func (a *Agent) serveShares(ctx context.Context) error {
	path, err := serialPort(ctx, sharePort)
	if err != nil || path == "" {
		return err
	}
	wire, err := channel.OpenPort(path)
	if err != nil {
		return err
	}
	streams, err := channel.NewGuestMux(wire).Listen(api.StreamPort)
	if err != nil {
		return err
	}
	return a.ServeStreams(ctx, streams, true)
}

// serialPort is the device node of the virtio-serial port of that name; ""
// if the VM has none. The host tells the names a moment after the device
// itself appears, so this waits for it when there is a device at all.
func serialPort(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, portTimeout)
	defer cancel()
	for {
		found, waiting, err := readSerialPorts("/sys")
		if err != nil || !waiting || found[name] != "" {
			return found[name], err
		}
		select {
		case <-ctx.Done():
			return "", nil
		case <-time.After(time.Millisecond):
		}
	}
}

// readSerialPorts also tells whether more names may come.
func readSerialPorts(sys string) (found map[string]string, waiting bool, err error) {
	devices, err := filepath.Glob(filepath.Join(sys, "bus/virtio/drivers/virtio_console/virtio*"))
	if err != nil || len(devices) == 0 {
		return nil, false, err
	}
	names, err := filepath.Glob(filepath.Join(sys, "class/virtio-ports/*/name"))
	if err != nil {
		return nil, false, err
	}
	found = map[string]string{}
	for _, file := range names {
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		node := "/dev/" + filepath.Base(filepath.Dir(file))
		if _, err := os.Stat(node); err == nil {
			found[strings.TrimSpace(string(raw))] = node
		}
	}
	return found, true, nil
}
