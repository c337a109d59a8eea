//go:build linux

package agent

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/agent/inroot"
	"github.com/paddock-run/paddock/guest/api"
)

// checkWindows finds requests that can never work, and turns the mounts'
// Windows paths into those that Linux has for them.
func checkWindows(req *api.CreateContainerRequest) error {
	if err := checkLayers([]*api.Layer{req.Windows.Wine}); err != nil {
		return fmt.Errorf("Wine disk: %w", err)
	}
	if err := checkWindowsProcess(req.Windows.Process); err != nil {
		return err
	}
	for _, m := range req.Mounts {
		if m.LinuxPath {
			continue
		}
		path, err := drivePath(m.Destination)
		if err != nil {
			return err
		}
		m.Destination = path
		s, ok := m.Source.(*api.Mount_Scratch)
		if !ok || s.Scratch.GetCopyUpFrom() == "" {
			continue
		}
		if s.Scratch.CopyUpFrom, err = drivePath(s.Scratch.CopyUpFrom); err != nil {
			return err
		}
	}
	return nil
}

func checkWindowsProcess(p *api.WindowsProcess) error {
	if len(p.GetArgs()) == 0 || p.Args[0] == "" {
		return invalid("process: args is empty")
	}
	for _, e := range p.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return invalid("process: %q is no variable", e)
		}
	}
	return nil
}

// drivePath is where Linux has a path of drive C:, which may be written with
// either separator and without the drive.
func drivePath(p string) (string, error) {
	path := strings.ReplaceAll(p, `\`, "/")
	if strings.HasPrefix(path, "//") {
		return "", invalid("%s: only folders and files of drive C: can be mounted, no pipes and no shares", p)
	}
	if len(path) >= 2 && path[1] == ':' {
		if !strings.EqualFold(path[:2], "C:") {
			return "", invalid("%s: a container has drive C: only", p)
		}
		path = path[2:]
	}
	if !strings.HasPrefix(path, "/") {
		return "", invalid("%s is not an absolute path", p)
	}
	if path = filepath.Clean(path); path == "/" {
		return "", invalid("a mount cannot replace drive C:")
	}
	return guest.WineDrive + path, nil
}

// createWindows makes a container that Wine runs. Its root is Wine's, as Linux
// sees it; drive C: is a folder of that.
func (a *Agent) createWindows(ctx context.Context, c *container, spec *specs.Spec, req *api.CreateContainerRequest) error {
	if err := a.mountWindowsRootfs(ctx, c, req); err != nil {
		return err
	}
	if err := c.resolveUser(req.User); err != nil {
		return err
	}
	if err := c.personalizeWine(); err != nil {
		return fmt.Errorf("prepare Wine: %w", err)
	}
	process := req.Windows.Process
	if err := c.makeFolder(initFolder, process); err != nil {
		return err
	}
	for _, m := range req.Mounts {
		m.Destination = spelledPath(c.rootfs(), m.Destination)
		if s, ok := m.Source.(*api.Mount_Scratch); ok {
			s.Scratch.CopyUpFrom = spelledPath(c.rootfs(), s.Scratch.CopyUpFrom)
		}
	}
	spec.Mounts = append(spec.Mounts, specs.Mount{
		Destination: foldersInside, Type: "bind", Source: c.folders(), Options: []string{"rbind", "rw", "nosuid", "nodev"},
	})
	c.windows = process
	return a.createIn(ctx, c, spec, req)
}

// mountWindowsRootfs mounts Wine's root, and the image as drive C: in it, each
// with a writable folder of the container's above. What Wine itself has on the
// drive covers the image's: no program of Windows' own could run on it.
func (a *Agent) mountWindowsRootfs(ctx context.Context, c *container, req *api.CreateContainerRequest) error {
	wine, err := a.mountLayers(ctx, c, []*api.Layer{req.Windows.Wine})
	if err != nil {
		return err
	}
	layers, err := a.mountLayers(ctx, c, req.Layers)
	if err != nil {
		return err
	}
	if err := c.mountWineRoot(filepath.Join(wine[0], guest.WineRootDir)); err != nil {
		return err
	}
	lowers := append([]string{filepath.Join(wine[0], guest.WineDriveDir)}, layers...)
	return c.mountWritableAt(filepath.Join(c.rootfs(), guest.WineDrive), lowers)
}

func (c *container) mountWineRoot(lower string) error {
	upper, work := filepath.Join(c.writable(), "wu"), filepath.Join(c.writable(), "ww")
	for _, dir := range []string{upper, work, c.rootfs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make Wine's writable layer: %w", err)
		}
	}
	return mountOverlay(c.rootfs(), 0, []string{lower}, fmt.Sprintf(",upperdir=%s,workdir=%s,volatile", upper, work))
}

// personalizeWine gives Wine's registry the pod's name, and what Wine writes to the container's user.
func (c *container) personalizeWine() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	prefix := filepath.Join(c.rootfs(), guest.WinePrefix)
	file := filepath.Join(prefix, "system.reg")
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(nameKeys(unix.ByteSliceToString(name.Nodename[:])))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil || c.user.Uid == 0 {
		return err
	}
	if err := c.giveAway(guest.WinePrefix); err != nil {
		return err
	}
	return c.giveAway(guest.WineDrive + "/Users/ContainerUser")
}

// maxComputerName is what NetBIOS allows.
const maxComputerName = 15

// nameKeys are the parts of the registry that tell the machine's name.
func nameKeys(hostname string) string {
	host, domain, _ := strings.Cut(hostname, ".")
	computer := strings.ToUpper(host[:min(len(host), maxComputerName)])
	return fmt.Sprintf(`
[System\\ControlSet001\\Control\\ComputerName\\ActiveComputerName] 0
"ComputerName"=%[1]q

[System\\ControlSet001\\Control\\ComputerName\\ComputerName] 0
"ComputerName"=%[1]q

[System\\ControlSet001\\Services\\Tcpip\\Parameters] 0
"Domain"=%[3]q
"Hostname"=%[2]q
"NV Domain"=%[3]q
"NV Hostname"=%[2]q
`, computer, host, domain)
}

// giveAway makes a folder of the container, and what is in it, its user's.
func (c *container) giveAway(path string) error {
	dir, err := inroot.Open(c.rootfs(), path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	root := fmt.Sprintf("/proc/self/fd/%d/", dir.Fd())
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(c.user.Uid), int(c.user.Gid))
	})
}

// spelledPath is a path of the container with each part spelled as the drive
// has it already: for Windows, one name has many spellings.
func spelledPath(rootfs, path string) string {
	rest, ok := strings.CutPrefix(path, guest.WineDrive+"/")
	if !ok {
		return path
	}
	at := guest.WineDrive
	for _, part := range strings.Split(rest, "/") {
		at += "/" + spelledName(rootfs, at, part)
	}
	return at
}

// maxSpellings bounds the entries of a folder that are looked through.
const maxSpellings = 1 << 16

func spelledName(rootfs, dir, name string) string {
	f, err := inroot.Open(rootfs, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return name // to be made
	}
	defer f.Close()
	names, _ := f.Readdirnames(maxSpellings)
	spelled := name
	for _, have := range names {
		if have == name {
			return name
		}
		if strings.EqualFold(have, name) {
			spelled = have
		}
	}
	return spelled
}
