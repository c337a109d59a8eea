package hyperv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/windows"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

// Host runs VMs with the Host Compute Service.
type Host struct {
	cfg        Config
	build      uint32
	memory     uint64 // the host's, in bytes
	processors uint32

	mu       sync.Mutex
	creating map[string]bool // ids whose Create has not returned: Open would find them half made
}

var _ vm.Host = (*Host)(nil)

// New returns a Host on the VMs of cfg.StateDir, which earlier Hosts may have
// made. Only one Host at a time may use a state folder.
func New(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	for _, file := range []string{cfg.Kernel, cfg.Initrd} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("guest image: %w", err)
		}
	}
	h := &Host{
		cfg: cfg, build: windows.RtlGetVersion().BuildNumber, memory: hostMemory(),
		processors: uint32(min(runtime.NumCPU(), maxGuestProcessors)), creating: make(map[string]bool),
	}
	if h.build < buildKernelDirect {
		return nil, fmt.Errorf("this is build %d of Windows: Linux pods need %d or newer (Windows Server 2022, Windows 10 1903): %w", h.build, buildKernelDirect, vm.ErrUnsupported)
	}
	if err := computecore.Available(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	klog.FromContext(ctx).Info("Hyper-V host is ready", "build", h.build, "processors", h.processors, "memory", h.memory)
	return h, nil
}

// Info implements vm.Host.
func (h *Host) Info() vm.Info {
	return vm.Info{
		Backend: "hyperv", Accelerator: "hyperv", Channel: "hvsock",
		Details: fmt.Sprintf("Host Compute Service of Windows build %d", h.build),
	}
}

// Close implements vm.Host. Close the VMs too: a Host does not keep them.
func (h *Host) Close() error { return nil }

func (h *Host) dir(id string) string { return filepath.Join(h.cfg.StateDir, id) }

// List implements vm.Host.
func (h *Host) List(context.Context) ([]string, error) {
	entries, err := os.ReadDir(h.cfg.StateDir)
	if err != nil {
		return nil, fmt.Errorf("list VMs: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && vm.ValidateID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Open implements vm.Host. A VM whose making was interrupted is returned as far
// as it came, to be terminated and released.
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
		s, err = &state{ID: id}, nil // the daemon died between the folder and its state
	}
	if err != nil {
		return nil, err
	}
	v := newVM(h, s)
	if err := v.takeOver(ctx); err != nil {
		v.Close()
		return nil, fmt.Errorf("open VM %s: %w", id, err)
	}
	return v, nil
}
