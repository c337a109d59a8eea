//go:build linux

package agent

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/agent/inroot"
	"github.com/paddock-run/paddock/guest/api"
)

// checkMounts finds requests that can never work.
func checkMounts(mounts []*api.Mount) error {
	for _, m := range mounts {
		if !filepath.IsAbs(m.Destination) || strings.ContainsRune(m.Destination, 0) || len(m.Destination) > 4095 {
			return invalid("mount destination %q: want an absolute path", m.Destination)
		}
		if filepath.Clean(m.Destination) == "/" {
			return invalid("a mount cannot replace the container's root")
		}
		switch s := m.Source.(type) {
		case *api.Mount_Share:
			if err := checkID("share", s.Share.GetShareId()); err != nil {
				return err
			}
		case *api.Mount_Scratch:
			if name := s.Scratch.GetName(); !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." {
				return invalid("mount %s: scratch name %q: want a clean relative path", m.Destination, name)
			}
		case *api.Mount_Tmpfs:
			if name := s.Tmpfs.GetName(); name != "" && (!filepath.IsLocal(name) || filepath.Clean(name) != name || name == ".") {
				return invalid("mount %s: tmpfs name %q: want a clean relative path", m.Destination, name)
			}
		case *api.Mount_Disk:
			if s.Disk.GetDisk() == nil {
				return invalid("mount %s: a disk without an address", m.Destination)
			}
		case *api.Mount_Image:
			if err := checkLayers(s.Image.GetLayers()); err != nil {
				return fmt.Errorf("mount %s: %w", m.Destination, err)
			}
		case *api.Mount_SandboxFile:
			if sandboxFiles[s.SandboxFile] == "" {
				return invalid("mount %s: unknown file of the sandbox %v", m.Destination, s.SandboxFile)
			}
		default:
			return invalid("mount %s has no source", m.Destination)
		}
	}
	return nil
}

// addMounts makes the sources of the mounts ready and adds the mounts to the
// spec: those the spec has first, then by depth, so that none hides another.
func (a *Agent) addMounts(ctx context.Context, c *container, spec *specs.Spec, mounts []*api.Mount) error {
	mounts = slices.Clone(mounts)
	slices.SortStableFunc(mounts, func(x, y *api.Mount) int { return cmp.Compare(depth(x.Destination), depth(y.Destination)) })
	for i, m := range mounts {
		if d, ok := m.Source.(*api.Mount_Disk); ok && d.Disk.Block {
			if err := a.addBlockDevice(ctx, c, spec, m.Destination, d.Disk, m.ReadOnly); err != nil {
				return fmt.Errorf("device %s: %w", m.Destination, err)
			}
			continue
		}
		if t, ok := m.Source.(*api.Mount_Tmpfs); ok && t.Tmpfs.Name == "" {
			spec.Mounts = append(spec.Mounts, tmpfsMount(m, t.Tmpfs))
			continue
		}
		source, err := a.mountSource(ctx, c, m, filepath.Join(c.dir(), "m", strconv.Itoa(i)))
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Destination, err)
		}
		if m.Propagation != api.Propagation_PROPAGATION_PRIVATE {
			if source, err = sharedMount(source); err != nil {
				return fmt.Errorf("mount %s: %w", m.Destination, err)
			}
		}
		spec.Mounts = append(spec.Mounts, specs.Mount{
			Destination: m.Destination, Type: "bind", Source: source, Options: bindOptions(m),
		})
	}
	return nil
}

func depth(path string) int {
	path = filepath.Clean(path)
	if path == "/" {
		return 0
	}
	return strings.Count(path, "/")
}

func bindOptions(m *api.Mount) []string {
	options := []string{"rbind"}
	switch {
	case m.RecursiveReadOnly:
		options = append(options, "rro")
	case m.ReadOnly:
		options = append(options, "ro")
	default:
		options = append(options, "rw")
	}
	switch m.Propagation {
	case api.Propagation_PROPAGATION_RSLAVE:
		options = append(options, "rslave")
	case api.Propagation_PROPAGATION_RSHARED:
		options = append(options, "rshared")
	default:
		options = append(options, "rprivate")
	}
	return append(options, m.Options...)
}

func tmpfsMount(m *api.Mount, t *api.TmpfsSource) specs.Mount {
	options := append([]string{"nosuid", "nodev"}, m.Options...)
	if t.Mode != 0 {
		options = append(options, fmt.Sprintf("mode=%o", t.Mode&0o7777))
	}
	if t.SizeBytes != 0 {
		options = append(options, fmt.Sprintf("size=%d", t.SizeBytes))
	}
	if m.ReadOnly || m.RecursiveReadOnly {
		options = append(options, "ro")
	}
	return specs.Mount{Destination: m.Destination, Type: "tmpfs", Source: "tmpfs", Options: options}
}

// mountSource is the path in the guest that a mount shows. stage is a path for
// a mount of the container's own, unmounted when it is deleted.
func (a *Agent) mountSource(ctx context.Context, c *container, m *api.Mount, stage string) (string, error) {
	switch s := m.Source.(type) {
	case *api.Mount_Share:
		base := sharePath(s.Share.ShareId)
		if !a.shareMounted(s.Share.ShareId) {
			return "", wrongState("share %q is not attached", s.Share.ShareId)
		}
		return withSubpath(base, s.Share.Subpath, stage)
	case *api.Mount_Scratch:
		return c.scratchVolume(ctx, s.Scratch)
	case *api.Mount_Tmpfs:
		return a.namedTmpfs(s.Tmpfs)
	case *api.Mount_Disk:
		addr := diskAddress(s.Disk.Disk)
		// Writable unless the disk is not: another container may want to write.
		target, err := a.disks.MountVolume(ctx, addr, s.Disk.FsType)
		if err != nil {
			return "", err
		}
		c.disks = append(c.disks, addr)
		return withSubpath(target, s.Disk.Subpath, stage)
	case *api.Mount_Image:
		source, err := a.imageVolume(ctx, c, s.Image, stage)
		return source, imageVolumeError(err, m.Destination)
	case *api.Mount_SandboxFile:
		return filepath.Join(sandboxDir, sandboxFiles[s.SandboxFile]), nil
	}
	return "", invalid("no source")
}

// withSubpath shows a path inside a volume, which no link in the volume can lead out of.
func withSubpath(base, subpath, stage string) (string, error) {
	if subpath == "" || subpath == "." {
		return base, nil
	}
	if err := inroot.Bind(base, subpath, stage); err != nil {
		return "", invalid("subpath %q: %v", subpath, err)
	}
	return stage, nil
}

// sharedMount makes sure that the source is a mount of its own and shared, so
// that mounts made below it in one container can reach others.
func sharedMount(source string) (string, error) {
	if !isMountPoint(source) {
		if err := unix.Mount(source, source, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return "", fmt.Errorf("bind %s to itself: %w", source, err)
		}
	}
	if err := unix.Mount("", source, "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return "", fmt.Errorf("share mounts below %s: %w", source, err)
	}
	return source, nil
}

func (a *Agent) namedTmpfs(t *api.TmpfsSource) (string, error) {
	a.sandbox.mu.Lock()
	defer a.sandbox.mu.Unlock()
	dir := filepath.Join(tmpfsDir, t.Name)
	if isMountPoint(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	mode := t.Mode
	if mode == 0 {
		mode = 0o1777
	}
	options := fmt.Sprintf("mode=%o,uid=%d,gid=%d", mode&0o7777, t.Uid, t.Gid)
	if t.SizeBytes != 0 {
		options += fmt.Sprintf(",size=%d", t.SizeBytes)
	}
	return dir, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options)
}

func (a *Agent) addBlockDevice(ctx context.Context, c *container, spec *specs.Spec, dest string, d *api.DiskSource, readOnly bool) error {
	addr := diskAddress(d.Disk)
	node, err := a.disks.Node(ctx, addr)
	if err != nil {
		return err
	}
	c.disks = append(c.disks, addr)
	var st unix.Stat_t
	if err := unix.Stat(node, &st); err != nil {
		return fmt.Errorf("stat %s: %w", node, err)
	}
	major, minor := int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	mode, access := os.FileMode(0o660), "rwm"
	if readOnly {
		access = "rm"
	}
	spec.Linux.Devices = append(spec.Linux.Devices, specs.LinuxDevice{Path: dest, Type: "b", Major: major, Minor: minor, FileMode: &mode})
	if spec.Linux.Resources == nil {
		spec.Linux.Resources = &specs.LinuxResources{}
	}
	spec.Linux.Resources.Devices = append(spec.Linux.Resources.Devices,
		specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &major, Minor: &minor, Access: access})
	return nil
}
