//go:build linux

package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paddock-run/paddock/guest"
)

// Address is where the host attached a disk.
type Address struct{ Controller, LUN uint32 }

func (a Address) String() string { return fmt.Sprintf("controller %d LUN %d", a.Controller, a.LUN) }

// scsiHost is the number N of the controller's host<N>.
func scsiHost(sys string, controller uint32) (string, error) {
	if int(controller) < len(guest.HyperVControllers) {
		found, _ := filepath.Glob(filepath.Join(sys, "bus/vmbus/devices", guest.HyperVControllers[controller], "host*"))
		if len(found) == 1 {
			return strings.TrimPrefix(filepath.Base(found[0]), "host"), nil
		}
	}
	hosts, err := virtioHosts(sys)
	if err != nil {
		return "", err
	}
	if int(controller) >= len(hosts) {
		return "", fmt.Errorf("no SCSI controller %d: the VM has %d", controller, len(hosts))
	}
	return hosts[controller], nil
}

// virtioHosts are the virtio-scsi hosts in the order of their PCI addresses.
func virtioHosts(sys string) ([]string, error) {
	links, err := filepath.Glob(filepath.Join(sys, "class/scsi_host/host*"))
	if err != nil {
		return nil, err
	}
	type host struct{ path, number string }
	var hosts []host
	for _, link := range links {
		path, err := filepath.EvalSymlinks(link)
		if err != nil || !strings.Contains(path, "/virtio") {
			continue
		}
		hosts = append(hosts, host{path, strings.TrimPrefix(filepath.Base(link), "host")})
	}
	slices.SortFunc(hosts, func(a, b host) int { return strings.Compare(a.path, b.path) })
	var numbers []string
	for _, h := range hosts {
		numbers = append(numbers, h.number)
	}
	return numbers, nil
}

// find waits for the block device at addr and tells its node and its SCSI device directory.
func find(ctx context.Context, addr Address) (node, device string, err error) {
	const sys = "/sys"
	host, err := scsiHost(sys, addr.Controller)
	if err != nil {
		return "", "", err
	}
	device = fmt.Sprintf("%s/class/scsi_device/%s:0:0:%d/device", sys, host, addr.LUN)
	scan := fmt.Sprintf("%s/class/scsi_host/host%s/scan", sys, host)
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if names, _ := os.ReadDir(device + "/block"); len(names) == 1 {
			node = "/dev/" + names[0].Name()
			// The node is there a moment before the disk can be opened.
			if f, err := os.Open(node); err == nil {
				f.Close()
				return node, device, nil
			}
		} else if _, err := os.Stat(device); err != nil {
			// The host's notice of a new disk may be still on its way: look for this one only.
			os.WriteFile(scan, fmt.Appendf(nil, "0 0 %d", addr.LUN), 0)
		}
		select {
		case <-ctx.Done():
			return "", "", fmt.Errorf("no disk appeared at %s: %w", addr, ctx.Err())
		case <-time.After(pause):
		}
	}
}
