package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// vmIDLength is how much of a sandbox's id names its VM.
const vmIDLength = 32

// RunSandbox makes and starts a sandbox. On error nothing of it is left.
func (m *Manager) RunSandbox(ctx context.Context, cfg SandboxConfig) (id string, err error) {
	if err := m.checkSandbox(&cfg); err != nil {
		return "", err
	}
	if _, err := m.cfg.options(cfg.Annotations); err != nil {
		return "", err
	}
	if err := useNodeHostname(&cfg); err != nil {
		return "", err
	}
	b := m.newBase()
	if os, _ := cfg.Handler.OS(); !m.windowsGuest(os) { // the pool's guests are Linux
		ready, end := m.pool.begin()
		defer end()
		if ready != nil {
			b = ready
		}
	}
	s := b.s
	if err := reserve(&m.mu, m.names, cfg.Meta, s.id); err != nil {
		if b.made && !m.pool.put(b) {
			m.pool.dispose(ctx, b)
		}
		return "", err
	}
	r := &sandboxRun{m: m, s: s, base: b, time: &timeline{}, cfg: cfg}
	if err := r.run(ctx); err != nil {
		s.finish()
		r.undo.run(klog.FromContext(ctx).WithValues("sandbox", s.id))
		unreserve(&m.mu, m.names, cfg.Meta)
		return "", fmt.Errorf("run sandbox %s/%s: %w", cfg.Meta.Namespace, cfg.Meta.Name, err)
	}
	m.mu.Lock()
	m.sandboxes[s.id] = s
	m.mu.Unlock()
	m.watch(s)
	m.emit(EventCreated, s, s.id, false)
	m.emit(EventStarted, s, s.id, false)
	return s.id, nil
}

func (m *Manager) checkSandbox(cfg *SandboxConfig) error {
	if cfg.Meta.Name == "" || cfg.Meta.Namespace == "" || cfg.Meta.UID == "" {
		return fmt.Errorf("%w: a sandbox needs a name, a namespace and a uid", ErrInvalid)
	}
	os, ok := cfg.Handler.OS()
	if !ok {
		return fmt.Errorf("%w: unknown runtime handler %q", ErrInvalid, cfg.Handler)
	}
	if cfg.UserNamespace != nil && os != guest.Linux {
		return fmt.Errorf("%w: a %s pod cannot have a user namespace", ErrInvalid, os)
	}
	if os == guest.Windows && m.cfg.WineDisk == "" && m.cfg.WindowsBaseImage == "" {
		return fmt.Errorf("%w: this node has nothing to run Windows pods with: see `paddock doctor`", ErrUnsupported)
	}
	return nil
}

// sandboxRun is one RunSandbox under way.
type sandboxRun struct {
	m    *Manager
	s    *sandbox
	base *base
	cfg  SandboxConfig
	undo undo
	time *timeline

	attachment *network.Attachment
}

func (r *sandboxRun) run(ctx context.Context) error {
	m, s, b := r.m, r.s, r.base
	b.time = r.time
	r.undo.pushIntent("intent", func() error { return m.sandboxRec.Delete(s.id) })
	err := r.time.step("intent", func() error {
		return m.updateSandbox(s, func(rec *sandboxRecord) bool {
			*rec = sandboxRecord{Phase: phaseMaking, VMID: s.vmID, Scratch: b.scratch,
				Status: SandboxStatus{ID: s.id, Created: time.Now(), Config: r.cfg}}
			return true
		})
	})
	if err != nil {
		return err
	}
	b.pushUndo(&r.undo)
	if err := r.gather(ctx); err != nil {
		return err
	}
	if err := r.join(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := r.consult(ctx); err != nil {
		return err
	}
	return m.updateSandbox(s, func(rec *sandboxRecord) bool {
		rec.Phase = phaseLive
		rec.Scratch = b.scratch
		rec.Status.State = SandboxReady
		rec.Status.Network = r.attachment
		rec.Status.Kernel = b.kernel
		rec.Status.Timeline = r.time.all()
		return true
	})
}

// gather makes the parts that do not need each other: the VM with all that is
// in it, unless it was made ahead, and the pod's network.
func (r *sandboxRun) gather(ctx context.Context) error {
	b := r.base
	r.s.size.vm = r.m.bootSize(&r.cfg)
	if !b.made {
		if err := b.prepareNetwork(ctx); err != nil {
			return err
		}
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error {
		if b.made {
			return r.time.step("adapt VM", func() error { return r.adapt(ctx) })
		}
		os, _ := r.cfg.Handler.OS()
		return b.make(ctx, vm.Config{GuestOS: os, Resources: r.s.size.vm, CgroupParent: r.m.vmCgroup(ctx, &r.cfg)})
	})
	parts.Go(func() error {
		return r.time.step("network", func() (err error) {
			r.attachment, err = r.m.deps.Network.Setup(ctx, networkRequest(r.s.id, &r.cfg))
			return networkError(err)
		})
	})
	err := parts.Wait()
	if err != nil {
		closeTaps(r.attachment)
	}
	return err
}

// adapt gives a VM made ahead its pod's cgroup and size.
func (r *sandboxRun) adapt(ctx context.Context) error {
	if err := r.s.vm.JoinCgroup(ctx, r.m.vmCgroup(ctx, &r.cfg)); err != nil {
		return err
	}
	if r.s.size.vm.MemoryBytes <= r.m.cfg.DefaultMemory {
		return nil
	}
	return r.s.vm.Resize(ctx, r.s.size.vm)
}

// join attaches the network to the VM and tells the agent of the pod.
func (r *sandboxRun) join(ctx context.Context) error {
	defer closeTaps(r.attachment)
	if err := r.time.step("attach network", func() error { return r.attachNICs(ctx) }); err != nil {
		return err
	}
	return r.time.step("configure", func() error {
		dns, err := r.m.resolver(&r.cfg)
		if err != nil {
			return err
		}
		request := &guestapi.ConfigureSandboxRequest{
			Hostname:      r.hostname(),
			Dns:           dns,
			Sysctls:       r.cfg.Sysctls,
			Scratch:       guestDisk(r.base.scratch),
			Network:       guestNetwork(r.attachment, r.s.vm.BornMAC()),
			SharedPid:     r.cfg.Namespaces.PID == NamespacePod,
			UnixNanos:     time.Now().UnixNano(),
			UserNamespace: guestRange(r.cfg.UserNamespace),
		}
		if err := r.joinNode(ctx, request); err != nil {
			return err
		}
		err = r.s.agent.retry(ctx, func(conn *agentConn) error {
			_, err := conn.ConfigureSandbox(ctx, request)
			return fromAgent(err)
		})
		if err != nil {
			return err
		}
		return r.m.resize(ctx, r.s) // processors, and limits in the guest
	})
}

// attachNICs attaches all but what the VM was born with.
func (r *sandboxRun) attachNICs(ctx context.Context) error {
	for i := range r.attachment.Interfaces {
		nic := &r.attachment.Interfaces[i]
		if nic.Endpoint == nil {
			continue
		}
		err := r.s.vm.AttachNIC(ctx, vm.NIC{ID: "nic" + strconv.Itoa(i), MAC: nic.MAC, MTU: nic.MTU, Endpoint: nic.Endpoint})
		if err != nil {
			return fmt.Errorf("attach %s: %w", nic.Name, err)
		}
	}
	return nil
}

func (r *sandboxRun) hostname() string { return podHostname(r.s.id, &r.cfg) }

func podHostname(id string, cfg *SandboxConfig) string {
	if cfg.Hostname != "" {
		return cfg.Hostname
	}
	return id[:12]
}

// closeTaps closes the taps that the VM now holds, or never will, and forgets them.
func closeTaps(a *network.Attachment) {
	if a == nil {
		return
	}
	for i := range a.Interfaces {
		closeEndpoint(a.Interfaces[i].Endpoint)
		a.Interfaces[i].Endpoint = nil
	}
}

// sandboxDir is the host folder of what belongs to one sandbox.
func (m *Manager) sandboxDir(id string) string { return filepath.Join(m.cfg.Root, "sandboxes", id) }

// endVM ends a VM at once and removes what it left.
func endVM(ctx context.Context, machine vm.VM) error {
	if err := machine.Terminate(ctx); err != nil && !errors.Is(err, vm.ErrExited) {
		return fmt.Errorf("terminate VM %s: %w", machine.ID(), err)
	}
	if err := machine.Release(); err != nil {
		return fmt.Errorf("release VM %s: %w", machine.ID(), err)
	}
	return nil
}
