//go:build linux

package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/agent/netconf"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/idmap"
)

// podNamespaces are those of a pod with a user namespace of its own. It owns
// the others, so that root in a container is root over the pod's network, its
// sysctls and its IPC, and over nothing else of the VM. They are held by mounts
// as well as by the pod's first process.
type podNamespaces struct {
	ids idmap.Range
	pid int // of the pod's first process, which all of them were made for
}

const namespacesDir = runDir + "/ns"

// pinned are the namespaces held by mounts, by their names in /proc/PID/ns. The
// PID namespace ends with its first process whatever holds it.
var pinned = []struct {
	file  string
	kind  specs.LinuxNamespaceType
	enter int // what a thread of the agent enters to work in the pod's; 0 for what it cannot
}{
	{"user", specs.UserNamespace, 0},
	{"net", specs.NetworkNamespace, unix.CLONE_NEWNET},
	{"ipc", specs.IPCNamespace, unix.CLONE_NEWIPC},
	{"uts", specs.UTSNamespace, unix.CLONE_NEWUTS},
}

func namespacePath(file string) string { return filepath.Join(namespacesDir, file) }

func idRange(r *api.IDRange) idmap.Range {
	return idmap.Range{Container: r.GetContainer(), Host: r.GetHost(), Size: r.GetSize()}
}

// makeNamespaces makes the pod's namespaces, if it has a user namespace. A
// repeat after a failed later step finds them. s.mu is held.
func (a *Agent) makeNamespaces(want *api.IDRange) error {
	s := &a.sandbox
	if want == nil {
		return nil
	}
	ids := idRange(want)
	if s.namespaces != nil {
		if s.namespaces.ids != ids {
			return wrongState("the pod has a user namespace already, with other ids")
		}
		return nil
	}
	if s.pause == nil {
		pause, err := a.spawnPause(&ids)
		if err != nil {
			return err
		}
		s.pause = pause
	}
	if err := os.MkdirAll(namespacesDir, 0o755); err != nil {
		return err
	}
	for _, p := range pinned {
		if err := pinNamespace(s.pause.PID, p.file); err != nil {
			return err
		}
	}
	if err := a.disks.MapIDs(namespacePath("user")); err != nil {
		return err
	}
	n := &podNamespaces{ids: ids, pid: s.pause.PID}
	if err := n.inside(n.ownMessageQueues); err != nil {
		return err
	}
	s.namespaces = n
	return nil
}

// ownMessageQueues gives the folder of the pod's message queues to its root; it
// came with the IPC namespace, before that had one.
func (n *podNamespaces) ownMessageQueues() error {
	dir := namespacePath("mqueue")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := unix.Mount("mqueue", dir, "mqueue", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount the pod's message queues: %w", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	return os.Chown(dir, n.root(), n.root())
}

func pinNamespace(pid int, file string) error {
	target := namespacePath(file)
	if isMountPoint(target) {
		return nil
	}
	if err := os.WriteFile(target, nil, 0o444); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/%d/ns/%s", pid, file), target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("hold the pod's %s namespace: %w", file, err)
	}
	return nil
}

// podNamespaces are the pod's own; nil for a pod that uses the VM's.
func (a *Agent) podNamespaces() *podNamespaces {
	a.sandbox.mu.Lock()
	defer a.sandbox.mu.Unlock()
	return a.sandbox.namespaces
}

// inside runs fn in the pod's network, IPC and UTS namespaces, on a thread that
// ends with it. The user namespace stays the agent's, which has every right over the pod's.
func (n *podNamespaces) inside(fn func() error) error {
	if n == nil {
		return fn()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		done <- n.enterAndRun(fn)
	}()
	return <-done
}

func (n *podNamespaces) enterAndRun(fn func() error) error {
	for _, p := range pinned {
		if p.enter == 0 {
			continue
		}
		f, err := os.Open(namespacePath(p.file))
		if err != nil {
			return err
		}
		err = unix.Setns(int(f.Fd()), p.enter)
		f.Close()
		if err != nil {
			return fmt.Errorf("enter the pod's %s namespace: %w", p.file, err)
		}
	}
	return fn()
}

// asRoot runs fn as the root of the pod's user namespace, whom some of its
// sysctls belong to, not to the VM's root. Only on a thread that inside gave.
func (n *podNamespaces) asRoot(fn func() error) error {
	const keep = ^uintptr(0)
	// By itself the system call changes this thread alone.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(n.root()), keep); errno != 0 {
		return fmt.Errorf("become the pod's root: %w", errno)
	}
	defer unix.RawSyscall(unix.SYS_SETRESUID, keep, 0, keep)
	return fn()
}

// configureNetwork configures the pod's network, which NICs appear outside of.
func (n *podNamespaces) configureNetwork(ctx context.Context, conf *api.Network) error {
	if n == nil {
		return netconf.Apply(ctx, conf)
	}
	f, err := os.Open(namespacePath("net"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := netconf.Move(ctx, conf, f); err != nil {
		return err
	}
	return n.inside(func() error { return netconf.Apply(ctx, conf) })
}

// interfaces is the kernel's file about the pod's network interfaces.
func (n *podNamespaces) interfaces() string {
	if n == nil {
		return "/proc/net/dev"
	}
	return fmt.Sprintf("/proc/%d/net/dev", n.pid)
}

// root is the id in the VM of a container's root.
func (n *podNamespaces) root() int {
	if n == nil {
		return 0
	}
	return int(n.ids.Host)
}

// owner is the id in the VM of one in a container; the container's root for one it does not have.
func (n *podNamespaces) owner(id uint32) int {
	if n == nil {
		return int(id)
	}
	if host, ok := n.ids.ToHost(id); ok {
		return int(host)
	}
	return n.root()
}

// joined are the namespaces that every container of the pod joins.
func (n *podNamespaces) joined() []specs.LinuxNamespace {
	if n == nil {
		return nil
	}
	var all []specs.LinuxNamespace
	for _, p := range pinned {
		all = append(all, specs.LinuxNamespace{Type: p.kind, Path: namespacePath(p.file)})
	}
	return all
}
