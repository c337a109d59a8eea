package hyperv

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Files of a VM's folder.
const (
	stateFile      = "state.json"
	exitFile       = "exit.json"  // how it ended, once known
	terminatedFile = "terminated" // Terminate was called
)

// state is what a later process needs to take a VM over, and to clean up after it.
type state struct {
	ID string
	// RuntimeID is the VM's GUID, the address of its sockets; "" until it has been created.
	RuntimeID  string
	MemoryMB   uint64
	Processors uint32
	// Limit is how many processors' worth of time it may use; 0: all.
	Limit   uint32
	BornMAC string // of the interface that it was made with; "" if none
	Cgroup  string // of a host without cgroups: only that one was named
	// BootFiles are the files that the VM boots from, to which it has access.
	BootFiles []string
	// Windows: the guest is Microsoft's.
	Windows bool
	// Namespace is the network namespace that a Windows guest has; "": none.
	Namespace string
	Disks     []*disk
	NICs      []*nic
}

// disk is an attachment. It is noted, not attached, before access is granted.
type disk struct {
	Address  vm.DiskAddress
	Path     string
	Attached bool
	// Of what is no vm.DiskContent:
	Content  vm.Content
	ReadOnly bool
	// LayerID names a layer to the guest.
	LayerID string
	// Idle: nobody uses the share any more, but it cannot be taken away.
	Idle bool
}

// nic is a network interface. It is noted, not attached, before it is asked for.
type nic struct {
	ID, Endpoint, MAC string
	Attached          bool
}

// systemID is the name of the VM's compute system, among those of the whole host.
func (s *state) systemID() string { return owner + "-" + s.ID }

// diskAt finds the disk at an address; nil if it is free.
func (s *state) diskAt(a vm.DiskAddress) *disk {
	for _, d := range s.Disks {
		if d.Address == a {
			return d
		}
	}
	return nil
}

// diskOf finds a path's disk; nil if there is none. NTFS does not tell case apart.
// Folders are shared once for each way.
func (s *state) diskOf(want vm.Disk) *disk {
	for _, d := range s.Disks {
		same := strings.EqualFold(d.Path, want.Path) && d.Content == want.Content
		if same && (d.Content == vm.DiskContent || d.ReadOnly == want.ReadOnly) {
			return d
		}
	}
	return nil
}

// freeShare is the first free number of a share.
func (s *state) freeShare() (vm.DiskAddress, bool) {
	for i := range uint32(maxShares) {
		if a := (vm.DiskAddress{Controller: vm.FolderController, LUN: i}); s.diskAt(a) == nil {
			return a, true
		}
	}
	return vm.DiskAddress{}, false
}

// freeSlot is the first address without a disk.
func (s *state) freeSlot() (vm.DiskAddress, bool) {
	taken := make(map[vm.DiskAddress]bool, len(s.Disks))
	for _, d := range s.Disks {
		taken[d.Address] = true
	}
	slots := uint32(diskSlots)
	if s.Windows {
		slots = lunsPerController // a Windows guest has one controller
	}
	for i := range slots {
		a := vm.DiskAddress{Controller: i / lunsPerController, LUN: i % lunsPerController}
		if !taken[a] {
			return a, true
		}
	}
	return vm.DiskAddress{}, false
}

func (s *state) nicOf(id string) *nic {
	for _, n := range s.NICs {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// granted are the files to which the VM has access, or may have.
func (s *state) granted() []string {
	files := append([]string(nil), s.BootFiles...)
	for _, d := range s.Disks {
		if d.Content == vm.DiskContent {
			files = append(files, d.Path)
		}
	}
	return files
}

// without is list without one element.
func without[T comparable](list []T, gone T) []T {
	kept := make([]T, 0, len(list))
	for _, e := range list {
		if e != gone {
			kept = append(kept, e)
		}
	}
	return kept
}

func (s *state) write(dir string) error { return writeJSON(filepath.Join(dir, stateFile), s) }

// readState reads a VM's state; ErrNotFound if the VM, or its state, does not exist.
func readState(dir string) (*state, error) {
	s := new(state)
	if err := readJSON(filepath.Join(dir, stateFile), s); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("VM %s: %w", filepath.Base(dir), vm.ErrNotFound)
		}
		return nil, fmt.Errorf("VM %s: %w", filepath.Base(dir), err)
	}
	return s, nil
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// writeJSON replaces the file as a whole.
func writeJSON(file string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := file + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
