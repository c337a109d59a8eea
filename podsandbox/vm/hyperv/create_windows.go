package hyperv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// settleTime bounds what is done to clean up, when the caller's context has ended.
const settleTime = 2 * computecore.Grace

// Create implements vm.Host.
func (h *Host) Create(ctx context.Context, cfg vm.Config) (vm.VM, error) {
	begin := time.Now()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("create VM %s: %w", cfg.ID, err)
	}
	m, err := h.machine(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("create VM %s: %w", cfg.ID, err)
	}
	s := h.newState(cfg, m)
	if err := h.reserve(s); err != nil {
		return nil, err
	}
	defer h.unreserve(cfg.ID)
	v := newVM(h, s)
	boot := v.boot
	if s.Windows {
		boot = v.bootWindows
	}
	if err := boot(ctx, m); err != nil {
		return nil, fmt.Errorf("create VM %s: %w", cfg.ID, errors.Join(err, v.discard()))
	}
	klog.FromContext(ctx).V(2).Info("VM is ready", "vm", cfg.ID, "runtimeID", s.RuntimeID, "took", time.Since(begin))
	return v, nil
}

// machine is what the VM is to be.
func (h *Host) machine(ctx context.Context, cfg vm.Config) (machine, error) {
	m := machine{
		kernel: h.cfg.Kernel, initrd: h.cfg.Initrd, memory: max(cfg.Resources.MemoryBytes, h.cfg.DefaultMemory),
		processors: max(h.processors, min(cfg.Resources.CPUs, h.processors)), limit: cfg.Resources.CPUs,
		build: h.build, extraKernelArgs: h.cfg.ExtraKernelArgs,
	}
	if cfg.GuestOS == guest.Windows {
		m.memory = max(m.memory, leastWindowsMemory)
		files, err := h.utilityVM(ctx)
		if err != nil {
			return m, err
		}
		m.utilityVM = files
	}
	if cfg.Resources.CPUs > h.processors {
		return m, fmt.Errorf("%d processors asked for, this host has %d: %w", cfg.Resources.CPUs, h.processors, vm.ErrUnsupported)
	}
	if cfg.Endpoint == nil {
		return m, nil
	}
	endpoint, ok := cfg.Endpoint.(vm.HCNEndpoint)
	if !ok || uuid.Validate(endpoint.ID) != nil {
		return m, fmt.Errorf("want an endpoint of the Host Compute Network, not %#v: %w", cfg.Endpoint, vm.ErrInvalid)
	}
	if h.cfg.EndpointMAC == nil {
		return m, fmt.Errorf("with an endpoint from the start: %w", vm.ErrUnsupported)
	}
	mac, err := h.cfg.EndpointMAC(ctx, endpoint.ID)
	if err != nil {
		return m, fmt.Errorf("endpoint %s: %w", endpoint.ID, err)
	}
	m.endpoint, m.mac = endpoint.ID, dashed(mac)
	return m, nil
}

// newState is what is written down of a VM that is about to be.
func (h *Host) newState(cfg vm.Config, m machine) *state {
	s := &state{
		ID: cfg.ID, MemoryMB: evenMiB(m.memory), Processors: m.processors, Limit: m.limit, Cgroup: cfg.CgroupParent,
		BornMAC: m.mac, BootFiles: []string{m.kernel, m.initrd}, Windows: cfg.GuestOS == guest.Windows,
	}
	if s.Windows { // its interface comes when the guest is there to be told of it
		s.BootFiles = []string{filepath.Join(h.dir(cfg.ID), windowsScratch)}
		s.Disks = []*disk{{Path: s.BootFiles[0], Attached: true}}
		return s
	}
	if m.endpoint != "" {
		s.NICs = []*nic{{ID: bornNIC, Endpoint: m.endpoint, MAC: m.mac, Attached: true}}
	}
	return s
}

// reserve takes the id and writes down that the VM is about to be.
func (h *Host) reserve(s *state) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	dir := h.dir(s.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = vm.ErrExists
		}
		return fmt.Errorf("create VM %s: %w", s.ID, err)
	}
	if err := s.write(dir); err != nil {
		return errors.Join(fmt.Errorf("create VM %s: %w", s.ID, err), os.RemoveAll(dir))
	}
	h.creating[s.ID] = true
	return nil
}

func (h *Host) unreserve(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.creating, id)
}

// boot makes and starts the compute system and waits for the agent.
func (v *VM) boot(ctx context.Context, m machine) error {
	if err := v.makeSystem(ctx, linuxDocument(m)); err != nil {
		return err
	}
	if err := v.compute().Start(ctx); err != nil {
		return v.orExited(typed(err))
	}
	return v.awaitAgent(ctx)
}

// makeSystem makes the compute system, not started, and learns its RuntimeID.
func (v *VM) makeSystem(ctx context.Context, document *schema.ComputeSystem) error {
	id := v.state.systemID()
	for _, file := range v.state.BootFiles {
		if err := computecore.GrantAccess(id, file); err != nil {
			return typed(err)
		}
	}
	system, err := computecore.Create(ctx, id, document)
	if err != nil {
		return typed(err)
	}
	if err := v.hold(system); err != nil {
		return err
	}
	p, err := system.Properties(ctx)
	if err != nil {
		return typed(err)
	}
	if uuid.Validate(p.RuntimeID) != nil {
		return fmt.Errorf("the host service gave the VM the id %q, which is none", clip(p.RuntimeID))
	}
	v.state.RuntimeID = p.RuntimeID
	return v.state.write(v.dir)
}

// discard ends what there is of a VM whose making failed.
func (v *VM) discard() error {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	defer v.Close()
	if v.compute() == nil {
		v.settle(vm.Exit{Kind: vm.ExitTerminated, Time: time.Now(), Detail: "it was never made"})
		return v.Release()
	}
	if err := v.Terminate(ctx); err != nil && !errors.Is(err, vm.ErrExited) {
		return err
	}
	return v.Release()
}
