package hyperv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// VM is one utility VM as seen by this process.
type VM struct {
	host *Host
	dir  string

	exited   chan struct{}
	exit     vm.Exit // written before exited is closed
	settling sync.Once

	// guest is a Windows VM's; nil for Linux ones, and for one that had ended before
	// this process looked. Set before the VM is anyone's.
	guest *windowsGuest

	devices sync.Mutex // held while devices, sizes and files' access change; above mu
	state   *state     // changed with devices held

	mu      sync.Mutex
	system  *computecore.System // nil if it had ended before this process looked
	crashed bool                // a crash report has come
	verdict string              // why this process ends the VM, if not because it was asked to
	closed  bool
}

var _ vm.VM = (*VM)(nil)

func newVM(h *Host, s *state) *VM {
	return &VM{host: h, state: s, dir: h.dir(s.ID), exited: make(chan struct{})}
}

// takeOver finds a VM that an earlier process made.
func (v *VM) takeOver(ctx context.Context) error {
	if v.isSettled() {
		return nil
	}
	system, err := computecore.Open(v.state.systemID())
	if errors.Is(err, computecore.SystemNotFound) {
		v.settle(v.unseenEnd())
		return nil
	}
	if err != nil {
		return typed(err)
	}
	if err := v.hold(system); err != nil {
		return err
	}
	if err := v.look(ctx); err != nil || !v.state.Windows || v.running() != nil {
		return err
	}
	return v.openGuest(true)
}

// isSettled reads how the VM ended, if an earlier process has found out.
func (v *VM) isSettled() bool {
	var e vm.Exit
	if err := readJSON(filepath.Join(v.dir, exitFile), &e); err != nil || e.Kind == 0 {
		return false
	}
	v.settling.Do(func() {
		v.exit = e
		close(v.exited)
	})
	return true
}

// hold makes the system the VM's and listens to its events.
func (v *VM) hold(system *computecore.System) error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		system.Close()
		return net.ErrClosed
	}
	old := v.system
	v.system = system
	v.mu.Unlock()
	if old != nil {
		old.Close()
	}
	return typed(system.Notify(v.onEvent))
}

// compute is the VM's system; nil if there is none.
func (v *VM) compute() *computecore.System {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.system
}

// look asks whether the VM has ended without an event: before events were listened to, or with the service.
func (v *VM) look(ctx context.Context) error {
	p, err := v.compute().Properties(ctx)
	switch {
	case errors.Is(err, computecore.SystemNotFound), errors.Is(err, computecore.SystemStopped):
		v.settle(v.unseenEnd())
		return nil
	case err != nil:
		return typed(err)
	case p.Stopped || p.State == schema.StateStopped:
		v.settle(v.unseenEnd())
		return nil
	case p.RuntimeID != v.state.RuntimeID && v.state.RuntimeID != "":
		return fmt.Errorf("the host has another VM of this name, %s and not %s", clip(p.RuntimeID), v.state.RuntimeID)
	}
	return nil
}

// ID implements vm.VM.
func (v *VM) ID() string { return v.state.ID }

// RuntimeID is the VM's GUID, for doctor and tests.
func (v *VM) RuntimeID() string { return v.state.RuntimeID }

// BornMAC implements vm.VM.
func (v *VM) BornMAC() net.HardwareAddr {
	mac, _ := net.ParseMAC(v.state.BornMAC) // "" is none
	return mac
}

// JoinCgroup implements vm.VM: Windows has no cgroups.
func (v *VM) JoinCgroup(_ context.Context, parent string) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	if v.state.Cgroup != "" {
		return fmt.Errorf("VM %s has cgroup %s already: %w", v.state.ID, v.state.Cgroup, vm.ErrInvalid)
	}
	v.state.Cgroup = parent
	return v.state.write(v.dir)
}

// Exited implements vm.VM.
func (v *VM) Exited() <-chan struct{} { return v.exited }

// ExitReason implements vm.VM.
func (v *VM) ExitReason() vm.Exit {
	select {
	case <-v.exited:
		return v.exit
	default:
		return vm.Exit{}
	}
}

func (v *VM) running() error {
	select {
	case <-v.exited:
		return fmt.Errorf("VM %s: %w", v.state.ID, vm.ErrExited)
	default:
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return fmt.Errorf("VM %s: %w", v.state.ID, net.ErrClosed)
	}
	return nil
}

// orExited replaces an error that the end of the VM explains; that may be noticed a moment later.
func (v *VM) orExited(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, vm.ErrExited) {
		select {
		case <-v.exited:
		case <-time.After(exitNotice):
		}
		return err
	}
	select {
	case <-v.exited:
		return fmt.Errorf("VM %s: %w: %w", v.state.ID, vm.ErrExited, err)
	default:
		return err
	}
}

// exitNotice is how long the event of a VM's end may take.
const exitNotice = 2 * time.Second

// Close implements vm.VM.
func (v *VM) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if v.system != nil {
		v.system.Close()
	}
	if v.guest != nil {
		v.guest.close()
	}
	return nil
}

// Release implements vm.VM.
func (v *VM) Release() error {
	if v.ExitReason().Kind == 0 {
		return fmt.Errorf("release VM %s: it is running: %w", v.state.ID, vm.ErrInvalid)
	}
	v.Close() // a system that somebody holds open keeps its name
	v.devices.Lock()
	defer v.devices.Unlock()
	// Another VM may have taken the id since the first Release.
	s, err := readState(v.dir)
	if err == nil && s.RuntimeID != v.state.RuntimeID {
		return nil
	}
	if errors.Is(err, vm.ErrNotFound) {
		return os.RemoveAll(v.dir)
	}
	var errs []error
	for _, file := range v.state.granted() {
		errs = append(errs, v.revoke(file))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("release VM %s: %w", v.state.ID, err)
	}
	if err := os.RemoveAll(v.dir); err != nil {
		return fmt.Errorf("release VM %s: %w", v.state.ID, err)
	}
	return nil
}

// revoke takes a VM's access to a file away; what is gone needs no revoking.
func (v *VM) revoke(file string) error {
	err := computecore.RevokeAccess(v.state.systemID(), file)
	for _, gone := range []computecore.HRESULT{computecore.FileNotFound, computecore.PathNotFound, computecore.ElementNotFound} {
		if errors.Is(err, gone) {
			return nil
		}
	}
	return typed(err)
}
