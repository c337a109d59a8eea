package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// A Windows pod on a Windows host has a VM whose guest is Windows. It is unlike others in
// what it is made of: it has no share server, for the VM shows it folders of the
// host; no scratch disk of the pod, for every container has one of its own, a copy of
// the empty one in its image's lowest layer; and nothing of it is made ahead.

// windowsGuest tells whether pods of an OS have such VMs.
func (m *Manager) windowsGuest(os guest.OS) bool {
	return m.cfg.WindowsBaseImage != "" && os == guest.Windows
}

// windowsGuest tells whether the container's VM is such a one.
func (k *containerMake) windowsGuest() bool {
	return k.windows != nil && k.m.cfg.WindowsBaseImage != ""
}

// WindowsBaseOwner is the owner of the lease of the image that Windows VMs boot from.
const WindowsBaseOwner = "windows-base-image"

// checkBuild refuses an image of another build of Windows than its VM's: the VM is
// the isolation, within it nothing comes between the image's programs and the kernel.
func (k *containerMake) checkBuild(ctx context.Context) error {
	if !k.windowsGuest() {
		return nil
	}
	base, err := k.m.deps.Images.Get(ctx, k.m.cfg.WindowsBaseImage, guest.Windows)
	if err != nil {
		return fmt.Errorf("the image that Windows VMs boot from: %w", err)
	}
	have, want := windowsBuild(k.image.Platform.OSVersion), windowsBuild(base.Platform.OSVersion)
	if have == "" || want == "" || have == want {
		return nil
	}
	return fmt.Errorf("%w: the image is for Windows %s, Windows VMs of this node are %s (%s): use an image for that, or another windows.baseImage in the node's configuration",
		ErrUnsupported, have, want, k.m.cfg.WindowsBaseImage)
}

// windowsBuild is a version without its revision: major.minor.build.
func windowsBuild(version string) string {
	const parts = 3
	all := strings.Split(version, ".")
	return strings.Join(all[:min(len(all), parts)], ".")
}

// ownScratch is the container's own disk.
func ownScratch(c *container) string { return filepath.Join(c.sandbox.dir, c.id+".vhdx") }

// attachOwnScratch makes the container's own disk and attaches it.
func (k *containerMake) attachOwnScratch(ctx context.Context) error {
	file := ownScratch(k.c)
	k.undo.push("scratch disk", func(context.Context) error { return removeOwnScratch(k.c) })
	// What is pushed last is undone first: the disk is let go of before it is removed.
	k.undo.push("disks", func(ctx context.Context) error { return k.m.releaseUses(ctx, k.c) })
	if err := copyDisk(ctx, filepath.Join(k.bottom, imageservice.ContainerTemplate), file); err != nil {
		return fmt.Errorf("scratch disk: %w", err)
	}
	addr, err := k.attachOwn(ctx, vm.Disk{Path: file})
	if err != nil {
		return fmt.Errorf("scratch disk: %w", err)
	}
	k.windows.Scratch = addr
	return nil
}

// attachPath shows the guest a file or folder of the host.
func (k *containerMake) attachPath(ctx context.Context, path string, readOnly bool) (*guestapi.DiskAddress, error) {
	return k.attachOwn(ctx, vm.Disk{Path: path, ReadOnly: readOnly, Content: vm.FileContent})
}

// attachOwn attaches for this container, which is noted.
func (k *containerMake) attachOwn(ctx context.Context, disk vm.Disk) (*guestapi.DiskAddress, error) {
	addr, err := k.s.acquireDisk(ctx, disk, nil)
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", disk.Path, err)
	}
	k.c.commit.Lock()
	defer k.c.commit.Unlock()
	k.c.record.Disks = append(k.c.record.Disks, diskUse{Path: diskKey(disk), Address: addr})
	return guestDisk(addr), nil
}

// removeOwnScratch removes the container's own disk, if it has one.
func removeOwnScratch(c *container) error {
	if err := os.Remove(ownScratch(c)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// copyChunk is how much is copied between looks at the context, in bytes.
const copyChunk = 16 << 20

// copyDisk copies a file, to one that is not there yet, until ctx ends.
func copyDisk(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err := io.CopyN(out, in, copyChunk)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
