package vmtest

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// FakeDisks is how many disks a Fake's VM takes.
const FakeDisks = 255

// FakeNICs is how many network interfaces a Fake's VM takes.
const FakeNICs = 4

// FakeMemory is how many bytes a Fake's VM can grow to.
const FakeMemory = 64 << 30

// FakeCPUs is how many processors a Fake's VM can have.
const FakeCPUs = 8

// machine is the VM itself, which outlives the Fakes that opened it.
type machine struct {
	cfg    vm.Config
	guest  *Guest
	exited chan struct{}

	mu    sync.Mutex
	size  vm.Resources
	exit  vm.Exit
	disks map[vm.DiskAddress]vm.Disk
	nics  map[string]vm.NIC
}

func newMachine(cfg vm.Config) *machine {
	m := &machine{
		cfg:    cfg,
		size:   cfg.Resources,
		exited: make(chan struct{}),
		disks:  make(map[vm.DiskAddress]vm.Disk),
		nics:   make(map[string]vm.NIC),
	}
	m.guest = newGuest(cfg.ID, func() { m.end(vm.ExitShutdown, "guest powered off") })
	return m
}

// end ends the VM; the first reason stays.
func (m *machine) end(kind vm.ExitKind, detail string) {
	m.mu.Lock()
	if m.exit.Kind != 0 {
		m.mu.Unlock()
		return
	}
	m.exit = vm.Exit{Kind: kind, Time: time.Now(), Detail: detail}
	m.mu.Unlock()
	m.guest.end()
	close(m.exited)
}

func (m *machine) alive() error {
	if m.exit.Kind != 0 {
		return fmt.Errorf("VM %s: %w", m.cfg.ID, vm.ErrExited)
	}
	return nil
}

func (m *machine) attachDisk(disk vm.Disk) (vm.DiskAddress, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.alive(); err != nil {
		return vm.DiskAddress{}, err
	}
	var at vm.DiskAddress
	if disk.Content != vm.DiskContent {
		at.Controller = vm.FolderController
	}
	for addr, d := range m.disks {
		switch {
		case d.Path != disk.Path || d.Content != disk.Content:
		case d.Content == vm.DiskContent:
			return vm.DiskAddress{}, fmt.Errorf("disk %s: %w", disk.Path, vm.ErrExists)
		case d.ReadOnly == disk.ReadOnly:
			return addr, nil
		}
	}
	for lun := range uint32(FakeDisks) {
		addr := vm.DiskAddress{Controller: at.Controller, LUN: lun}
		if _, taken := m.disks[addr]; !taken {
			m.disks[addr] = disk
			return addr, nil
		}
	}
	return vm.DiskAddress{}, fmt.Errorf("attach %s: %w", disk.Path, vm.ErrNoSlots)
}

func (m *machine) detachDisk(addr vm.DiskAddress) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.alive(); err != nil {
		return err
	}
	if _, ok := m.disks[addr]; !ok {
		return fmt.Errorf("disk at %+v: %w", addr, vm.ErrNotFound)
	}
	delete(m.disks, addr)
	return nil
}

func (m *machine) attachNIC(nic vm.NIC) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.alive(); err != nil {
		return err
	}
	if _, taken := m.nics[nic.ID]; taken {
		return fmt.Errorf("NIC %s: %w", nic.ID, vm.ErrExists)
	}
	if len(m.nics) >= FakeNICs {
		return fmt.Errorf("attach NIC %s: %w", nic.ID, vm.ErrNoSlots)
	}
	m.nics[nic.ID] = nic
	return nil
}

func (m *machine) detachNIC(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.alive(); err != nil {
		return err
	}
	if _, ok := m.nics[id]; !ok {
		return fmt.Errorf("NIC %s: %w", id, vm.ErrNotFound)
	}
	delete(m.nics, id)
	return nil
}

func (m *machine) diskMap() map[vm.DiskAddress]vm.Disk {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.disks)
}

func (m *machine) nicMap() map[string]vm.NIC {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.nics)
}
