package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu/qmp"
)

// VM is one QEMU process as seen by this process.
type VM struct {
	host    *Host
	state   *state
	dir     string
	process *process // nil if it had ended before this process looked
	stop    *os.File // closed by Close: ends the watcher
	stopR   *os.File
	stopped chan struct{} // the watcher has ended
	console *console

	exited chan struct{}
	exit   vm.Exit // written before exited is closed

	devices sync.Mutex // held while devices come and go; above mu
	mu      sync.Mutex
	closed  bool
	monitor *qmp.Conn
	deleted map[string]chan struct{} // device ids whose removal is awaited
	dialer  channel.Dialer
	dialing chan struct{} // closed when the dialler being opened is there or has failed
}

var _ vm.VM = (*VM)(nil)

func newVM(h *Host, s *state, p *process) (*VM, error) {
	v := &VM{
		host: h, state: s, dir: h.dir(s.ID), process: p,
		stopped: make(chan struct{}),
		exited:  make(chan struct{}),
		deleted: make(map[string]chan struct{}),
	}
	if p == nil {
		close(v.stopped)
		return v, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("watch VM %s: %w", s.ID, err)
	}
	v.stopR, v.stop = r, w
	v.console = drainConsole(v.dir)
	go v.watch()
	return v, nil
}

// exitNotice is how long the end of a process may take to be noticed.
const exitNotice = 2 * time.Second

// takeOver holds a VM that an earlier process made, ready or still booting.
func takeOver(ctx context.Context, h *Host, s *state) (*VM, error) {
	p, err := h.processOf(s)
	if err != nil {
		return nil, err
	}
	v, err := newVM(h, s, p)
	if err != nil {
		if p != nil {
			p.pidfd.Close()
		}
		return nil, err
	}
	if p == nil {
		v.finish()
		return v, nil
	}
	if err := v.connect(ctx); err != nil {
		// A QEMU that was killed just now, or that nobody has waited for yet, has a
		// process but no monitor any more; its end is noticed in a moment.
		select {
		case <-v.exited:
			return v, nil
		case <-time.After(exitNotice):
			v.Close()
			return nil, fmt.Errorf("open VM %s: %w", s.ID, err)
		}
	}
	return v, nil
}

// processOf finds a VM's process; nil if it has ended.
func (h *Host) processOf(s *state) (*process, error) {
	if s.UUID == "" || s.BootID != h.bootID {
		return nil, nil
	}
	if s.PID == 0 {
		pid, started, found := findProcess(processName(s.ID, s.UUID))
		if !found {
			return nil, nil
		}
		s.PID, s.Started = pid, started
		if err := writeState(h.dir(s.ID), s); err != nil {
			return nil, err
		}
	}
	p, err := openProcess(s.PID, s.Started)
	if errors.Is(err, errGone) {
		return nil, nil
	}
	return p, err
}

// ID implements vm.VM.
func (v *VM) ID() string { return v.state.ID }

// PID is QEMU's process id, 0 if it never ran; for doctor and tests.
func (v *VM) PID() int { return v.state.PID }

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
		return nil
	}
}

// orExited replaces an error that the end of the VM explains.
func (v *VM) orExited(err error) error {
	if err == nil || v.process == nil {
		return err
	}
	if gone := v.running(); gone != nil && !errors.Is(err, vm.ErrExited) {
		return fmt.Errorf("%w: %w", gone, err)
	}
	return err
}

// connect opens the monitor, which answers once QEMU has set the machine up.
func (v *VM) connect(ctx context.Context) error {
	ctx, cancel := v.whileRunning(ctx)
	defer cancel()
	c, err := qmp.Dial(ctx, filepath.Join(v.dir, qmpSocket), v.onEvent)
	if err != nil {
		return v.orExited(err)
	}
	v.mu.Lock()
	v.monitor = c
	v.mu.Unlock()
	return nil
}

// whileRunning is ctx, ended by the end of the VM.
func (v *VM) whileRunning(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-v.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// Close implements vm.VM.
func (v *VM) Close() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		<-v.stopped
		return nil
	}
	v.closed = true
	monitor, dialer := v.monitor, v.dialer
	v.mu.Unlock()
	if dialer != nil {
		dialer.Close()
	}
	if monitor != nil {
		monitor.Close()
	}
	if v.stop != nil {
		v.stop.Close()
		<-v.stopped
		v.stopR.Close()
		v.console.close()
	}
	if v.process != nil {
		v.process.pidfd.Close()
	}
	return nil
}

// Release implements vm.VM.
func (v *VM) Release() error {
	if v.running() == nil {
		return fmt.Errorf("release VM %s: it is running: %w", v.state.ID, vm.ErrInvalid)
	}
	// Another VM may have taken the id since the first Release.
	if s, err := readState(v.dir); err == nil && s.UUID != v.state.UUID {
		return nil
	}
	return removeVM(v.dir, v.state)
}

// removeVM removes a VM's traces; the directory, by which List knows it, last.
func removeVM(dir string, s *state) error {
	if err := removeCgroups(s.Cgroups); err != nil {
		return fmt.Errorf("release VM %s: %w", s.ID, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("release VM %s: %w", s.ID, err)
	}
	return nil
}
