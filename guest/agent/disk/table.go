//go:build linux

package disk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// appearTimeout bounds the wait for a disk that the host says it attached.
const appearTimeout = 10 * time.Second

// Table holds the VM's disks in use. Its methods may be called concurrently.
type Table struct {
	dir string // mount points are made below it; short, as overlayfs limits the sum of them

	mu   sync.Mutex
	next int
	used map[Address]*entry
	ids  *os.File // the user namespace whose ids read-only mounts show; nil: those on the disks
}

// entry's own lock lets disks be mounted in parallel; refs is guarded by Table.mu.
type entry struct {
	refs int

	mu       sync.Mutex
	node     string
	device   string
	target   string // "" while not mounted
	readOnly bool
	volume   bool // holds data to be kept
}

// NewTable makes an empty table that mounts disks below dir.
func NewTable(dir string) *Table { return &Table{dir: dir, used: map[Address]*entry{}} }

// Mount mounts the disk, or counts one more user of its mount, and tells where.
// Each success is paired with one Release.
func (t *Table) Mount(ctx context.Context, addr Address, fsType string, readOnly bool) (string, error) {
	if fsType != "ext4" {
		return "", fmt.Errorf("disk at %s: file system %q is not supported, only ext4", addr, fsType)
	}
	e := t.acquire(addr)
	target, err := e.mount(ctx, t, addr, readOnly)
	if err != nil {
		t.Release(addr)
		return "", fmt.Errorf("disk at %s: %w", addr, err)
	}
	return target, nil
}

// MountVolume is Mount for a disk that holds data: writable unless the host attached
// it read-only, and written back by Sync.
func (t *Table) MountVolume(ctx context.Context, addr Address, fsType string) (string, error) {
	if _, err := t.Node(ctx, addr); err != nil {
		return "", err
	}
	defer t.Release(addr)
	e := t.acquire(addr)
	defer t.Release(addr)
	e.mu.Lock()
	e.volume = true
	node := e.node
	e.mu.Unlock()
	readOnly, err := os.ReadFile("/sys/class/block/" + filepath.Base(node) + "/ro")
	if err != nil {
		return "", fmt.Errorf("disk at %s: %w", addr, err)
	}
	return t.Mount(ctx, addr, fsType, strings.TrimSpace(string(readOnly)) == "1")
}

// Sync writes volumes back to their disks.
func (t *Table) Sync() error {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.used))
	t.mu.Unlock()
	var errs []error
	for _, e := range all {
		e.mu.Lock()
		target := e.target
		if !e.volume || e.readOnly {
			target = ""
		}
		e.mu.Unlock()
		if target != "" {
			errs = append(errs, syncfs(target))
		}
	}
	return errors.Join(errs...)
}

func syncfs(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("write %s back: %w", path, err)
	}
	return nil
}

// MapIDs makes later read-only mounts show ids as the user namespace at path
// maps them: what is stored as its root's is its root's. It may be repeated.
func (t *Table) MapIDs(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the user namespace: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids != nil {
		t.ids.Close()
	}
	t.ids = f
	return nil
}

func (t *Table) mapping() *os.File {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ids
}

// Node finds the disk's device node, for use as a raw device, and counts one
// more user of it.
func (t *Table) Node(ctx context.Context, addr Address) (string, error) {
	e := t.acquire(addr)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.find(ctx, addr); err != nil {
		defer t.Release(addr)
		return "", err
	}
	return e.node, nil
}

// Release drops one user. With the last one the disk is unmounted and removed
// from the guest.
func (t *Table) Release(addr Address) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.used[addr]
	if e == nil {
		return
	}
	if e.refs--; e.refs > 0 {
		return
	}
	delete(t.used, addr)
	// Removed under the table's lock: a new user of the address must find a new disk, not this one's remains.
	if e.target != "" {
		err := unix.Unmount(e.target, 0)
		if err == unix.EBUSY {
			err = errors.Join(syncfs(e.target), unix.Unmount(e.target, unix.MNT_DETACH))
		}
		if err != nil {
			klog.ErrorS(err, "unmount a disk", "disk", addr, "target", e.target)
		}
		os.Remove(e.target)
	}
	if e.device != "" {
		if err := os.WriteFile(e.device+"/delete", []byte("1"), 0); err != nil {
			klog.ErrorS(err, "remove a disk from the guest", "disk", addr)
		}
	}
}

func (t *Table) acquire(addr Address) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.used[addr]
	if e == nil {
		e = &entry{}
		t.used[addr] = e
	}
	e.refs++
	return e
}

func (t *Table) newTarget() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	return t.dir + "/" + strconv.Itoa(t.next)
}

// find requires e.mu.
func (e *entry) find(ctx context.Context, addr Address) error {
	if e.node != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, appearTimeout)
	defer cancel()
	var err error
	e.node, e.device, err = find(ctx, addr)
	return err
}

func (e *entry) mount(ctx context.Context, t *Table, addr Address, readOnly bool) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.target != "" {
		if e.readOnly && !readOnly {
			return "", fmt.Errorf("already mounted read-only and now wanted writable")
		}
		return e.target, nil
	}
	if err := e.find(ctx, addr); err != nil {
		return "", err
	}
	flags, data := uintptr(unix.MS_NOATIME|unix.MS_NODEV), "discard"
	switch {
	case readOnly:
		flags, data = flags|unix.MS_RDONLY, "noload"
	case !e.volume:
		// A new sparse disk reads as zeros anyway: no inode tables need be zeroed in the
		// background, one GiB of writes for each 64 GiB of a pod's scratch disk.
		data += ",noinit_itable"
	}
	target := t.newTarget()
	if err := os.MkdirAll(target, 0o755); err != nil {
		return "", err
	}
	if err := unix.Mount(e.node, target, "ext4", flags, data); err != nil {
		os.Remove(target)
		return "", fmt.Errorf("mount %s on %s: %w", e.node, target, err)
	}
	if ids := t.mapping(); ids != nil && readOnly {
		if err := mapIDs(target, ids); err != nil {
			unix.Unmount(target, unix.MNT_DETACH)
			os.Remove(target)
			return "", fmt.Errorf("map the ids of %s: %w", e.node, err)
		}
	}
	e.target, e.readOnly = target, readOnly
	return target, nil
}
