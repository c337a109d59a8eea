package vmtest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Fake is a vm.Host in memory. Its knobs may be turned at any time and hold for
// every Fake on the same state.
type Fake struct{ state *fakeState }

var _ vm.Host = (*Fake)(nil)

type fakeState struct {
	mu         sync.Mutex
	machines   map[string]*machine
	failCreate error
	onCreate   func(ctx context.Context, cfg vm.Config) error
	boot       func(*Guest) error
}

// NewFake returns a Fake without VMs. Its guests run Agent.
func NewFake() *Fake {
	return &Fake{state: &fakeState{machines: make(map[string]*machine)}}
}

// Reopen returns another Fake on the same VMs: what a restarted daemon gets.
func (f *Fake) Reopen() *Fake { return &Fake{state: f.state} }

// FailCreate makes every later Create fail with err; nil ends that.
func (f *Fake) FailCreate(err error) {
	f.state.mu.Lock()
	defer f.state.mu.Unlock()
	f.state.failCreate = err
}

// OnCreate has Create call hook before the VM exists: to block, to fail, to count.
func (f *Fake) OnCreate(hook func(ctx context.Context, cfg vm.Config) error) {
	f.state.mu.Lock()
	defer f.state.mu.Unlock()
	f.state.onCreate = hook
}

// Boot sets what runs in the guests of VMs created from now on, in place of
// Agent: it opens the guest's ports (ServeAgent, Listen) and returns.
func (f *Fake) Boot(boot func(*Guest) error) {
	f.state.mu.Lock()
	defer f.state.mu.Unlock()
	f.state.boot = boot
}

// Guest is the inside of the VM with that id; nil if there is none.
func (f *Fake) Guest(id string) *Guest {
	if m := f.machine(id); m != nil {
		return m.guest
	}
	return nil
}

// Kill ends a VM as kill -9 of its process does.
func (f *Fake) Kill(id string) { f.end(id, vm.ExitKilled, "its process was killed") }

// Crash ends a VM as a panic of its kernel does.
func (f *Fake) Crash(id string) { f.end(id, vm.ExitCrash, "guest kernel panicked") }

// Disks are the disks attached to a VM.
func (f *Fake) Disks(id string) map[vm.DiskAddress]vm.Disk {
	if m := f.machine(id); m != nil {
		return m.diskMap()
	}
	return nil
}

// NICs are the network interfaces attached to a VM, by id.
func (f *Fake) NICs(id string) map[string]vm.NIC {
	if m := f.machine(id); m != nil {
		return m.nicMap()
	}
	return nil
}

// Size is a VM's present size.
func (f *Fake) Size(id string) vm.Resources {
	m := f.machine(id)
	if m == nil {
		return vm.Resources{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size
}

func (f *Fake) machine(id string) *machine {
	f.state.mu.Lock()
	defer f.state.mu.Unlock()
	return f.state.machines[id]
}

func (f *Fake) end(id string, kind vm.ExitKind, detail string) {
	if m := f.machine(id); m != nil {
		m.end(kind, detail)
	}
}

// Create implements vm.Host.
func (f *Fake) Create(ctx context.Context, cfg vm.Config) (vm.VM, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f.state.mu.Lock()
	fail, hook, boot := f.state.failCreate, f.state.onCreate, f.state.boot
	if fail == nil && f.state.machines[cfg.ID] != nil {
		fail = fmt.Errorf("VM %s: %w", cfg.ID, vm.ErrExists)
	}
	if fail != nil {
		f.state.mu.Unlock()
		return nil, fail
	}
	m := newMachine(cfg)
	f.state.machines[cfg.ID] = m // reserves the id while the hook runs
	f.state.mu.Unlock()

	err := bootFake(ctx, m, hook, boot)
	if err != nil {
		m.end(vm.ExitTerminated, "creation failed")
		f.remove(m)
		return nil, fmt.Errorf("create VM %s: %w", cfg.ID, err)
	}
	return newFakeVM(f, m), nil
}

func bootFake(ctx context.Context, m *machine, hook func(context.Context, vm.Config) error, boot func(*Guest) error) error {
	if hook != nil {
		if err := hook(ctx, m.cfg); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if boot != nil {
		return boot(m.guest)
	}
	return m.guest.ServeAgent(&Agent{Guest: m.guest})
}

func (f *Fake) remove(m *machine) {
	f.state.mu.Lock()
	defer f.state.mu.Unlock()
	if f.state.machines[m.cfg.ID] == m {
		delete(f.state.machines, m.cfg.ID)
	}
}

// Open implements vm.Host.
func (f *Fake) Open(_ context.Context, id string) (vm.VM, error) {
	m := f.machine(id)
	if m == nil {
		return nil, fmt.Errorf("VM %q: %w", id, vm.ErrNotFound)
	}
	return newFakeVM(f, m), nil
}

// List implements vm.Host.
func (f *Fake) List(context.Context) ([]string, error) {
	f.state.mu.Lock()
	defer f.state.mu.Unlock()
	ids := make([]string, 0, len(f.state.machines))
	for id := range f.state.machines {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// Info implements vm.Host.
func (f *Fake) Info() vm.Info {
	return vm.Info{Backend: "fake", Accelerator: "none", Channel: "memory", Details: "guests are Go code for " + guest.Linux.String()}
}

// Close implements vm.Host.
func (f *Fake) Close() error { return nil }

// DialGuest connects to a port of the VM's guest whatever Host opened it, for
// tests of code that follows ShareChannel.
func (f *Fake) DialGuest(ctx context.Context, id string, port uint32) (net.Conn, error) {
	g := f.Guest(id)
	if g == nil {
		return nil, fmt.Errorf("VM %q: %w", id, vm.ErrNotFound)
	}
	return g.dial(ctx, port)
}
