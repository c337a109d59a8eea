package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Create implements vm.Host. The VM is a clone of its shape's template where
// there is one, and boots elsewhere.
func (h *Host) Create(ctx context.Context, cfg vm.Config) (vm.VM, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("create VM %s: %w", cfg.ID, err)
	}
	l, err := h.launchOf(cfg)
	if err != nil {
		return nil, fmt.Errorf("create VM %s: %w", cfg.ID, err)
	}
	if h.templates != nil {
		t, err := h.templates.get(l.shape)
		if err != nil {
			return nil, fmt.Errorf("create VM %s: %w", cfg.ID, err)
		}
		if t != nil {
			defer t.close()
			v, err := h.create(ctx, cfg, l.from(t))
			if !h.blamesTemplate(ctx, err) {
				return v, err
			}
			klog.FromContext(ctx).Error(err, "A VM template does not work: it is made anew, and the VM boots", "vm", cfg.ID)
			h.templates.discard(l.shape, t.key)
		}
	}
	return h.create(ctx, cfg, l)
}

// blamesTemplate tells whether a clone's error may come from its template.
func (h *Host) blamesTemplate(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !errors.Is(err, vm.ErrExists) && !errors.Is(err, vm.ErrNoSlots)
}

// Warm returns when VMs as cfg describes can be cloned. It implements vm.Warmer.
func (h *Host) Warm(ctx context.Context, cfg vm.Config) error {
	if h.templates == nil {
		return nil
	}
	if err := h.templates.await(ctx, h.shape(cfg)); err != nil {
		return fmt.Errorf("make a VM template: %w", err)
	}
	return nil
}

func (h *Host) create(ctx context.Context, cfg vm.Config, l launch) (vm.VM, error) {
	begin := time.Now()
	s, err := h.reserve(cfg, l.shape)
	if err != nil {
		return nil, err
	}
	defer h.unreserve(s)
	v, err := h.boot(ctx, s, l)
	if err != nil {
		return nil, fmt.Errorf("create VM %s: %w", cfg.ID, err)
	}
	klog.FromContext(ctx).V(2).Info("VM is ready", "vm", cfg.ID, "pid", s.PID, "clone", l.origin == asClone, "took", time.Since(begin))
	return v, nil
}

// reserve takes the id and writes down that the VM is about to be.
func (h *Host) reserve(cfg vm.Config, sh shape) (*state, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dir := h.dir(cfg.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("VM %s: %w", cfg.ID, vm.ErrExists)
		}
		return nil, fmt.Errorf("create VM %s: %w", cfg.ID, err)
	}
	cfg.Endpoint = nil // an open file: it is of this process
	s := &state{
		ID: cfg.ID, UUID: uuid.NewString(), BootID: h.bootID, Config: cfg,
		Memory: sh.memory, Hot: sh.hotMemory, CPUs: sh.cpus, NIC: sh.nic,
	}
	err := h.assignSlot(s)
	if err == nil {
		err = writeState(dir, s)
	}
	if err != nil {
		delete(h.slots, s.Slot)
		return nil, errors.Join(fmt.Errorf("create VM %s: %w", cfg.ID, err), os.RemoveAll(dir))
	}
	h.creating[cfg.ID] = true
	return s, nil
}

func (h *Host) unreserve(s *state) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.creating, s.ID)
	delete(h.slots, s.Slot)
}

// maxSlots bounds the VMs of a host.
const maxSlots = 4096

// assignSlot gives a VM the smallest number that no other has, and with it the
// user and vsock context that are its alone. Called with h.mu held.
func (h *Host) assignSlot(s *state) error {
	ids, err := h.ids()
	if err != nil {
		return err
	}
	taken := make(map[uint32]bool)
	for _, id := range ids {
		if other, err := readState(h.dir(id)); err == nil {
			taken[other.Slot] = true
		}
	}
	for slot := uint32(1); slot <= maxSlots; slot++ {
		if taken[slot] || h.slots[slot] {
			continue
		}
		h.slots[slot] = true
		s.Slot = slot
		if h.vsock {
			s.CID = h.guestCID(slot)
		}
		if !h.rootQEMU() {
			s.UID = h.cfg.UIDBase + slot
		}
		return nil
	}
	return fmt.Errorf("%d VMs exist already: %w", maxSlots, vm.ErrNoSlots)
}

// guestCID keeps clear of the small numbers that other programs choose first.
func (h *Host) guestCID(slot uint32) uint32 { return 0x5000_0000 + slot }

// rootQEMU tells whether QEMU has to run as the daemon's user.
func (h *Host) rootQEMU() bool {
	if h.cfg.RunAsRoot || os.Geteuid() != 0 {
		return true
	}
	if h.accel != "kvm" {
		return false
	}
	_, ok := kvmGroup()
	return !ok
}

// boot starts QEMU and waits for the agent. On error nothing of the VM is left.
func (h *Host) boot(ctx context.Context, s *state, l launch) (_ *VM, err error) {
	v, err := h.start(ctx, s, l)
	if err != nil {
		return nil, errors.Join(err, removeVM(h.dir(s.ID), s))
	}
	defer func() {
		if err != nil {
			err = v.explain(err)
			_ = v.process.kill()
			<-v.exited
			v.Close()
			err = errors.Join(err, v.Release())
		}
	}()
	if err = v.connect(ctx); err != nil {
		return nil, err
	}
	if l.origin == asClone {
		if err = v.resume(ctx, l.template); err != nil {
			return nil, err
		}
	}
	if err = v.awaitAgent(ctx); err != nil {
		return nil, err
	}
	if want := s.Config.Resources.MemoryBytes; want > s.Memory {
		err = v.Resize(ctx, vm.Resources{MemoryBytes: want})
	}
	return v, err
}
