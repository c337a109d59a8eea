//go:build linux

package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/paddock-run/paddock/guest/api"
)

// maxDevices bounds the block devices told of one group.
const maxDevices = 64

// IO reads a group's block input and output.
func IO(dir string) *api.IOStats {
	raw, _ := os.ReadFile(filepath.Join(dir, "io.stat"))
	out := &api.IOStats{Pressure: pressure(dir, "io.pressure")}
	for line := range strings.Lines(string(raw)) {
		if d := deviceIO(line); d != nil && len(out.Devices) < maxDevices {
			out.Devices = append(out.Devices, d)
		}
	}
	return out
}

// deviceIO parses a line of io.stat, "8:0 rbytes=1 wbytes=2 ..."; nil if it tells of no device.
func deviceIO(line string) *api.DeviceIO {
	device, rest, _ := strings.Cut(line, " ")
	first, second, ok := strings.Cut(device, ":")
	major, err := strconv.ParseUint(first, 10, 32)
	minor, err2 := strconv.ParseUint(second, 10, 32)
	if !ok || err != nil || err2 != nil {
		return nil
	}
	d := &api.DeviceIO{Major: uint32(major), Minor: uint32(minor)}
	for _, field := range strings.Fields(rest) {
		key, value, _ := strings.Cut(field, "=")
		n, _ := strconv.ParseUint(value, 10, 64)
		switch key {
		case "rbytes":
			d.ReadBytes = n
		case "wbytes":
			d.WriteBytes = n
		case "rios":
			d.ReadOps = n
		case "wios":
			d.WriteOps = n
		}
	}
	return d
}
