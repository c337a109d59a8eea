package podsandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// base is what a sandbox has before anything of its pod is known: a VM with an
// agent, a scratch disk mounted in it, a share server, and the place in the host
// where its network will be. It can be made ahead.
type base struct {
	m    *Manager
	s    *sandbox
	time *timeline
	// made: all is there. Else make has it still to do.
	made bool

	endpoint vm.Endpoint // of the first NIC, until the VM has it
	scratch  vm.DiskAddress
	kernel   string
}

// newBase is a base of which nothing exists yet but a name.
func (m *Manager) newBase() *base {
	id := newID()
	return &base{m: m, s: newSandbox(id, id[:vmIDLength], m.sandboxDir(id), m.life), time: new(timeline)}
}

// pushUndo registers all that may be made before it is: each part can be taken back half-made.
func (b *base) pushUndo(u *undo) {
	m, s := b.m, b.s
	u.push("scratch disk", func(context.Context) error { return os.RemoveAll(s.dir) })
	u.push("network", func(ctx context.Context) error { return m.deps.Network.Teardown(ctx, s.id) })
	u.push("VM", func(ctx context.Context) error {
		if s.vm == nil {
			return nil
		}
		if s.agent != nil {
			s.agent.close()
		}
		return endVM(ctx, s.vm)
	})
	u.push("share server", func(ctx context.Context) error { return m.deps.Shares.Stop(ctx, s.id) })
}

// prepareNetwork makes the host's side of the first NIC, before the VM.
func (b *base) prepareNetwork(ctx context.Context) error {
	return b.time.step("prepare network", func() (err error) {
		b.endpoint, err = b.m.deps.Network.Prepare(ctx, b.s.id)
		return err
	})
}

// make makes the VM and all that is in it, when fewer are being made than there
// are processors: more at once would all come later, and none sooner. It follows
// prepareNetwork.
func (b *base) make(ctx context.Context, cfg vm.Config) error {
	select {
	case b.m.making <- struct{}{}:
		defer func() { <-b.m.making }()
	case <-ctx.Done():
		closeEndpoint(b.endpoint)
		b.endpoint = nil
		return context.Cause(ctx)
	}
	windows := b.m.windowsGuest(cfg.GuestOS)
	parts, making := errgroup.WithContext(ctx)
	parts.Go(func() error { return b.machine(making, cfg) })
	parts.Go(func() error {
		if windows { // its containers have disks of their own
			return os.MkdirAll(b.s.dir, 0o711)
		}
		return b.scratchDisk(making)
	})
	err := parts.Wait()
	closeEndpoint(b.endpoint) // the VM has it, or never will
	b.endpoint = nil
	if err != nil {
		return err
	}
	if windows { // it has the host's folders without a share server
		b.made = true
		return b.time.step("agent", func() error { return b.personalize(ctx) })
	}
	parts, making = errgroup.WithContext(ctx)
	parts.Go(func() error {
		return b.time.step("shares", func() (err error) {
			b.s.share, err = b.m.deps.Shares.Start(making, b.s.id, b.s.vm.ShareChannel())
			return err
		})
	})
	parts.Go(func() error {
		if err := b.attachScratch(making); err != nil {
			return err
		}
		return b.time.step("agent", func() error { return b.personalize(making) })
	})
	b.made = true
	return parts.Wait()
}

func (b *base) machine(ctx context.Context, cfg vm.Config) error {
	s := b.s
	cfg.ID, cfg.Endpoint = s.vmID, b.endpoint
	err := b.time.step("vm", func() (err error) {
		s.vm, err = b.m.deps.VMs.Create(ctx, cfg)
		return err
	})
	if err != nil {
		return fmt.Errorf("VM: %w", err)
	}
	s.agent = newAgentLink(s.vm, b.m.cfg.HostVersion)
	return nil
}

func (b *base) scratchFile() string { return filepath.Join(b.s.dir, b.m.deps.Scratch.FileName()) }

func (b *base) scratchDisk(ctx context.Context) error {
	return b.time.step("scratch", func() error {
		if err := os.MkdirAll(b.s.dir, 0o711); err != nil {
			return fmt.Errorf("sandbox folder: %w", err)
		}
		return b.m.deps.Scratch.Make(ctx, b.scratchFile())
	})
}

func (b *base) attachScratch(ctx context.Context) error {
	return b.time.step("attach scratch", func() (err error) {
		b.scratch, err = b.s.vm.AttachDisk(ctx, vm.Disk{Path: b.scratchFile(), Ephemeral: true})
		return err
	})
}

// personalize makes the VM, perhaps a clone of another, its own machine.
func (b *base) personalize(ctx context.Context) error {
	entropy := make([]byte, 256)
	rand.Read(entropy)
	return b.s.agent.retry(ctx, func(conn *agentConn) error {
		b.kernel = conn.Guest.KernelRelease
		_, err := conn.Personalize(ctx, &guestapi.PersonalizeRequest{
			Entropy: entropy, UnixNanos: time.Now().UnixNano(), MachineId: b.s.id[:32], Scratch: guestDisk(b.scratch),
		})
		return fromAgent(err)
	})
}

// intact tells whether a base made ahead can still be used.
func (b *base) intact() bool { return b.s.vmRuns() && b.s.share != nil }

func closeEndpoint(e vm.Endpoint) {
	if tap, ok := e.(vm.TapEndpoint); ok && tap.File != nil {
		tap.File.Close()
	}
}
