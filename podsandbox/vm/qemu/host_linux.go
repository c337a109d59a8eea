package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Host runs VMs with QEMU.
type Host struct {
	cfg    Config
	binary string
	info   vm.Info
	accel  string
	tscKHz uint64
	vsock  bool
	bootID string
	// templates is nil where none are used.
	templates *templates

	mu       sync.Mutex
	creating map[string]bool // ids whose Create has not returned: Open would find them half made
	slots    map[uint32]bool // given to a VM that has no state file yet
}

var _ vm.Host = (*Host)(nil)

// New returns a Host on the VMs of cfg.StateDir, which earlier Hosts may have
// made. It finds out whether KVM works, which takes up to a few seconds, once
// per boot of the host. Only one Host at a time may use a state directory.
func New(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, creating: make(map[string]bool), slots: make(map[uint32]bool)}
	for _, file := range []string{cfg.Kernel, cfg.Initrd} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("guest image: %w (make guest builds it)", err)
		}
	}
	if h.binary, err = exec.LookPath(cfg.QEMUBinary); err != nil {
		return nil, fmt.Errorf("QEMU: %w (Debian has it in qemu-system-x86)", err)
	}
	if err := os.MkdirAll(cfg.StateDir, 0o711); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if h.bootID, err = bootID(); err != nil {
		return nil, err
	}
	if err := h.chooseMeans(ctx); err != nil {
		return nil, err
	}
	if !cfg.NoTemplates {
		h.templates = newTemplates(h, cfg.TemplateDir)
	}
	return h, nil
}

// chooseMeans decides on accelerator and channel.
func (h *Host) chooseMeans(ctx context.Context) error {
	probe := Probe{Reason: "TCG is configured"}
	if !h.cfg.ForceTCG {
		var err error
		if probe, err = rememberedProbe(ctx, h.cfg.StateDir); err != nil {
			return fmt.Errorf("probe KVM: %w", err)
		}
	}
	h.accel = "tcg"
	if probe.Usable {
		h.accel = "kvm"
	} else {
		h.tscKHz = measureTSC()
	}
	// A clone would wake up with its template's vsock address.
	h.vsock = h.cfg.NoTemplates && canOpen("/dev/vhost-vsock")
	h.info = vm.Info{Backend: "qemu", Accelerator: h.accel, Emulated: h.accel == "tcg", Channel: "virtio-serial", Details: probe.Reason}
	if h.vsock {
		h.info.Channel = "vsock"
	}
	klog.FromContext(ctx).Info("QEMU host is ready", "accelerator", h.accel, "reason", probe.Reason, "channel", h.info.Channel)
	return nil
}

func canOpen(device string) bool {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// Info implements vm.Host.
func (h *Host) Info() vm.Info { return h.info }

// Close implements vm.Host. Close the VMs too: a Host does not keep them.
func (h *Host) Close() error {
	if h.templates != nil {
		h.templates.close()
	}
	return nil
}

func (h *Host) dir(id string) string { return filepath.Join(h.cfg.StateDir, id) }

// List implements vm.Host. A template being made is no VM of anybody's.
func (h *Host) List(context.Context) ([]string, error) {
	ids, err := h.ids()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(ids, func(id string) bool { return h.creating[id] && strings.HasPrefix(id, templatePrefix) }), err
}

// ids are those of every directory.
func (h *Host) ids() ([]string, error) {
	entries, err := os.ReadDir(h.cfg.StateDir)
	if err != nil {
		return nil, fmt.Errorf("list VMs: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if !e.IsDir() || vm.ValidateID(e.Name()) != nil {
			continue
		}
		ids = append(ids, e.Name())
	}
	slices.Sort(ids)
	return ids, nil
}

// Open implements vm.Host. A VM whose making was interrupted is returned as far
// as it came: booting, or exited, to be terminated and released.
func (h *Host) Open(ctx context.Context, id string) (vm.VM, error) {
	if err := vm.ValidateID(id); err != nil {
		return nil, err
	}
	h.mu.Lock()
	making := h.creating[id]
	h.mu.Unlock()
	if making {
		return nil, fmt.Errorf("VM %s is being created: %w", id, vm.ErrNotFound)
	}
	s, err := readState(h.dir(id))
	if errors.Is(err, vm.ErrNotFound) {
		if _, statErr := os.Stat(h.dir(id)); errors.Is(statErr, fs.ErrNotExist) {
			return nil, err
		}
		s, err = &state{ID: id}, nil // the daemon died between the directory and its state
	}
	if err != nil {
		return nil, err
	}
	return takeOver(ctx, h, s)
}

// shape is the machine for a Config. Machines begin with the default memory, so
// that one template serves all, and grow to what they are to have.
func (h *Host) shape(cfg vm.Config) shape {
	memory := h.cfg.DefaultMemory
	if want := cfg.Resources.MemoryBytes; want > memory+h.hotMemory(memory) {
		memory = want
	}
	memory = (memory + mib - 1) / mib * mib
	cpus, maxCPUs := processors(cfg.Resources.CPUs, uint32(runtime.NumCPU()), h.accel)
	return shape{
		accel: h.accel, memory: memory, hotMemory: h.hotMemory(memory), cpus: cpus, maxCPUs: maxCPUs, tscKHz: h.tscKHz,
		vsock: h.vsock, nic: cfg.Endpoint != nil, extraArgs: strings.TrimSpace(h.cfg.ExtraKernelArgs),
	}
}

// hotMemory is how much can be added to a machine's memory.
func (h *Host) hotMemory(memory uint64) uint64 {
	limit := h.cfg.MaxMemory
	if limit == 0 {
		limit = hostMemory()
	}
	if limit <= memory {
		return 0
	}
	return (limit - memory) / memoryBlock * memoryBlock
}

func hostMemory() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit)
}
