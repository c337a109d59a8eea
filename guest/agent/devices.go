//go:build linux

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var deviceKinds = map[string]uint32{"b": unix.S_IFBLK, "c": unix.S_IFCHR, "u": unix.S_IFCHR, "p": unix.S_IFIFO}

// mountDevices makes a container's device nodes and mounts them, where a user
// namespace keeps the runtime from making them with their owner and mode.
func (c *container) mountDevices(spec *specs.Spec) error {
	if c.pod == nil || len(spec.Linux.Devices) == 0 {
		return nil
	}
	dir := filepath.Join(c.dir(), "d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("devices", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755"); err != nil {
		return fmt.Errorf("mount a folder for device nodes: %w", err)
	}
	for i, d := range spec.Linux.Devices {
		node := filepath.Join(dir, strconv.Itoa(i))
		if err := c.makeDevice(node, d); err != nil {
			return fmt.Errorf("device %s: %w", d.Path, err)
		}
		spec.Mounts = append(spec.Mounts, specs.Mount{
			Destination: d.Path, Type: "bind", Source: node, Options: []string{"bind", "rprivate", "nosuid", "noexec"},
		})
	}
	spec.Linux.Devices = nil
	return nil
}

func (c *container) makeDevice(node string, d specs.LinuxDevice) error {
	kind, ok := deviceKinds[d.Type]
	if !ok {
		return invalid("type %q: want b, c, u or p", d.Type)
	}
	mode, uid, gid := os.FileMode(0o666), uint32(0), uint32(0)
	if d.FileMode != nil {
		mode = d.FileMode.Perm()
	}
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	if err := unix.Mknod(node, kind|0o600, int(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))); err != nil {
		return err
	}
	if err := os.Chown(node, c.pod.owner(uid), c.pod.owner(gid)); err != nil {
		return err
	}
	return os.Chmod(node, mode)
}
