package podsandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// vmIDLength is how much of a sandbox's id names its VM.
const vmIDLength = 32

// RunSandbox makes and starts a sandbox. On error nothing of it is left.
func (m *Manager) RunSandbox(ctx context.Context, cfg SandboxConfig) (id string, err error) {
	if err := checkSandbox(&cfg); err != nil {
		return "", err
	}
	id = newID()
	if err := reserve(&m.mu, m.names, cfg.Meta, id); err != nil {
		return "", err
	}
	s := newSandbox(id, id[:vmIDLength], m.sandboxDir(id), m.life)
	r := &sandboxRun{m: m, s: s, cfg: cfg}
	if err := r.run(ctx); err != nil {
		s.finish()
		r.undo.run(klog.FromContext(ctx).WithValues("sandbox", id))
		unreserve(&m.mu, m.names, cfg.Meta)
		return "", fmt.Errorf("run sandbox %s/%s: %w", cfg.Meta.Namespace, cfg.Meta.Name, err)
	}
	m.mu.Lock()
	m.sandboxes[id] = s
	m.mu.Unlock()
	m.spawn(func() { m.watchVM(s) })
	m.emit(EventCreated, s, id, false)
	m.emit(EventStarted, s, id, false)
	return id, nil
}

func checkSandbox(cfg *SandboxConfig) error {
	if cfg.Meta.Name == "" || cfg.Meta.Namespace == "" || cfg.Meta.UID == "" {
		return fmt.Errorf("%w: a sandbox needs a name, a namespace and a uid", ErrInvalid)
	}
	if _, ok := cfg.Handler.OS(); !ok {
		return fmt.Errorf("%w: unknown runtime handler %q", ErrInvalid, cfg.Handler)
	}
	if cfg.Namespaces.Network == NamespaceNode {
		return fmt.Errorf("%w: a pod in a VM cannot use the node's network (hostNetwork)", ErrUnsupported)
	}
	return nil
}

// sandboxRun is one RunSandbox under way.
type sandboxRun struct {
	m    *Manager
	s    *sandbox
	cfg  SandboxConfig
	undo undo
	time timeline

	attachment *network.Attachment
	scratch    string
	kernel     string
}

func (r *sandboxRun) run(ctx context.Context) error {
	m, s := r.m, r.s
	r.undo.pushIntent("intent", func() error { return m.sandboxRec.Delete(s.id) })
	err := r.time.step("intent", func() error {
		return m.updateSandbox(s, func(rec *sandboxRecord) bool {
			*rec = sandboxRecord{Phase: phaseMaking, VMID: s.vmID, Status: SandboxStatus{ID: s.id, Created: time.Now(), Config: r.cfg}}
			return true
		})
	})
	if err != nil {
		return err
	}
	r.pushUndo()
	if err := r.gather(ctx); err != nil {
		return err
	}
	if err := r.join(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return m.updateSandbox(s, func(rec *sandboxRecord) bool {
		rec.Phase = phaseLive
		rec.Status.State = SandboxReady
		rec.Status.Network = r.attachment
		rec.Status.Kernel = r.kernel
		rec.Status.Timeline = r.time.all()
		return true
	})
}

// pushUndo registers all that may be made before it is: each part can be taken back half-made.
func (r *sandboxRun) pushUndo() {
	m, s := r.m, r.s
	r.undo.push("scratch disk", func(context.Context) error { return os.RemoveAll(s.dir) })
	r.undo.push("network", func(ctx context.Context) error { return m.deps.Network.Teardown(ctx, s.id) })
	r.undo.push("VM", func(ctx context.Context) error {
		if s.vm == nil {
			return nil
		}
		if s.agent != nil {
			s.agent.close()
		}
		return endVM(ctx, s.vm)
	})
	r.undo.push("share server", func(ctx context.Context) error { return m.deps.Shares.Stop(ctx, s.id) })
}

// gather makes the parts that do not need each other: VM, network, scratch disk.
func (r *sandboxRun) gather(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return r.machine(ctx) })
	parts.Go(func() error {
		return r.time.step("network", func() (err error) {
			r.attachment, err = r.m.deps.Network.Setup(ctx, networkRequest(r.s.id, &r.cfg))
			if errors.Is(err, network.ErrNotReady) {
				err = fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			return err
		})
	})
	parts.Go(func() error {
		return r.time.step("scratch", func() error {
			dir := r.s.dir
			if err := os.MkdirAll(dir, 0o711); err != nil {
				return fmt.Errorf("sandbox folder: %w", err)
			}
			r.scratch = filepath.Join(dir, r.m.deps.Scratch.FileName())
			return r.m.deps.Scratch.Make(ctx, r.scratch)
		})
	})
	err := parts.Wait()
	if err != nil {
		closeTaps(r.attachment)
	}
	return err
}

// machine takes a VM, makes it its own machine and starts its share server.
func (r *sandboxRun) machine(ctx context.Context) error {
	m, s := r.m, r.s
	os, _ := r.cfg.Handler.OS()
	err := r.time.step("vm", func() (err error) {
		s.vm, err = m.vms.Take(ctx, vm.Config{ID: s.vmID, GuestOS: os, Resources: m.vmSize(&r.cfg), CgroupParent: r.cfg.CgroupParent})
		return err
	})
	if err != nil {
		return fmt.Errorf("VM: %w", err)
	}
	s.agent = newAgentLink(s.vm, m.cfg.HostVersion)
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return r.time.step("agent", func() error { return r.personalize(ctx) }) })
	parts.Go(func() error {
		return r.time.step("shares", func() (err error) {
			s.share, err = m.deps.Shares.Start(ctx, s.id, s.vm.ShareChannel())
			return err
		})
	})
	return parts.Wait()
}

func (r *sandboxRun) personalize(ctx context.Context) error {
	entropy := make([]byte, 256)
	rand.Read(entropy)
	return r.s.agent.retry(ctx, func(conn *agentConn) error {
		r.kernel = conn.Guest.KernelRelease
		_, err := conn.Personalize(ctx, &guestapi.PersonalizeRequest{
			Entropy: entropy, UnixNanos: time.Now().UnixNano(), MachineId: r.s.id[:32],
		})
		return fromAgent(err)
	})
}

// join attaches network and scratch disk to the VM and tells the agent of them.
func (r *sandboxRun) join(ctx context.Context) error {
	defer closeTaps(r.attachment)
	var disk vm.DiskAddress
	parts, attachCtx := errgroup.WithContext(ctx)
	parts.Go(func() error {
		return r.time.step("attach network", func() error { return r.attachNICs(attachCtx) })
	})
	parts.Go(func() error {
		return r.time.step("attach scratch", func() (err error) {
			disk, err = r.s.vm.AttachDisk(attachCtx, vm.Disk{Path: r.scratch, Ephemeral: true})
			return err
		})
	})
	if err := parts.Wait(); err != nil {
		return err
	}
	return r.time.step("configure", func() error {
		dns, err := r.m.resolver(&r.cfg)
		if err != nil {
			return err
		}
		request := &guestapi.ConfigureSandboxRequest{
			Hostname:  r.hostname(),
			Dns:       dns,
			Sysctls:   r.cfg.Sysctls,
			Scratch:   &guestapi.DiskAddress{Controller: disk.Controller, Lun: disk.LUN},
			Network:   guestNetwork(r.attachment),
			SharedPid: r.cfg.Namespaces.PID == NamespacePod,
		}
		return r.s.agent.retry(ctx, func(conn *agentConn) error {
			_, err := conn.ConfigureSandbox(ctx, request)
			return fromAgent(err)
		})
	})
}

func (r *sandboxRun) attachNICs(ctx context.Context) error {
	for i := range r.attachment.Interfaces {
		nic := &r.attachment.Interfaces[i]
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
		if tap, ok := a.Interfaces[i].Endpoint.(vm.TapEndpoint); ok && tap.File != nil {
			tap.File.Close()
		}
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
