//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/guest/agent/disk"
	"github.com/paddock-run/paddock/guest/agent/hostports"
	"github.com/paddock-run/paddock/guest/agent/netconf"
	"github.com/paddock-run/paddock/guest/agent/reaper"
	"github.com/paddock-run/paddock/guest/api"
)

// Where the pod's things are in the guest.
const (
	runDir      = "/run/paddock"
	sandboxDir  = runDir + "/sandbox"
	sharesDir   = runDir + "/shares"
	tmpfsDir    = runDir + "/tmpfs"
	scratchDir  = "/s" // short: overlayfs limits the length of its options
	volumesDir  = scratchDir + "/v"
	upperDir    = scratchDir + "/c"
	defaultShm  = 64 << 20
	maxHostname = 64
	maxHosts    = 1 << 20
)

// sandbox is what ConfigureSandbox set.
type sandbox struct {
	// mu serialises configuration and what belongs to the pod as a whole.
	mu      sync.Mutex
	request *api.ConfigureSandboxRequest // nil until configured
	pause   *reaper.Process              // first process of the shared PID namespace, once wanted
	// namespaces are set for a pod with a user namespace.
	namespaces *podNamespaces
	usage      usageCache
	ports      *hostports.Mirror // of a pod on the node's network
}

// ConfigureSandbox makes the VM the pod's.
func (a *Agent) ConfigureSandbox(ctx context.Context, req *api.ConfigureSandboxRequest) (*api.ConfigureSandboxResponse, error) {
	s := &a.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.request != nil {
		if proto.Equal(s.request, req) {
			return &api.ConfigureSandboxResponse{}, nil
		}
		return nil, wrongState("the sandbox is configured already, and differently")
	}
	if err := checkSandbox(req); err != nil {
		return nil, err
	}
	steps := []struct {
		what string
		do   func() error
	}{
		{"set the clock", func() error {
			if req.UnixNanos == 0 {
				return nil
			}
			return setClock(req.UnixNanos)
		}},
		{"make the pod's user namespace", func() error { return a.makeNamespaces(req.UserNamespace) }},
		{"mount the scratch disk", func() error { return a.mountScratch(ctx, req.Scratch) }},
		{"set the hostname", func() error {
			return s.namespaces.inside(func() error { return unix.Sethostname([]byte(req.Hostname)) })
		}},
		{"write the pod's files", func() error { return writeSandboxFiles(req, s.namespaces.root()) }},
		{"mount the pod's /dev/shm", func() error { return mountShm(req.ShmBytes, s.namespaces.root()) }},
		{"configure the network", func() error { return s.namespaces.configureNetwork(ctx, req.Network) }},
		{"set sysctls", func() error {
			return s.namespaces.inside(func() error { return s.namespaces.setSysctls(req.Sysctls) })
		}},
		{"show the node's listeners", func() error { return a.mirrorPorts(req) }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	s.request = proto.Clone(req).(*api.ConfigureSandboxRequest)
	return &api.ConfigureSandboxResponse{}, nil
}

func checkSandbox(req *api.ConfigureSandboxRequest) error {
	if len(req.Hostname) > maxHostname || strings.ContainsAny(req.Hostname, " \n\t/") {
		return invalid("hostname %q: want at most %d characters without spaces", req.Hostname, maxHostname)
	}
	for name := range req.Sysctls {
		if _, err := sysctlPath(name); err != nil {
			return err
		}
	}
	if req.UnixNanos < 0 {
		return invalid("unix_nanos %d: want a time after 1970, or 0", req.UnixNanos)
	}
	if err := netconf.Check(req.Network); err != nil {
		return invalid("network: %v", err)
	}
	if req.UserNamespace != nil {
		if err := idRange(req.UserNamespace).Check(); err != nil {
			return invalid("user namespace: %v", err)
		}
	}
	if n := len(req.Hosts); n > maxHosts {
		return invalid("hosts: %d bytes, want at most %d", n, maxHosts)
	}
	return checkHostNetwork(req.HostNetwork)
}

// mountScratch mounts the scratch disk, or a tmpfs for a pod without one. A
// repeat after a failed later step finds it mounted.
func (a *Agent) mountScratch(ctx context.Context, addr *api.DiskAddress) error {
	if err := os.MkdirAll(scratchDir, 0o755); err != nil {
		return err
	}
	if isMountPoint(scratchDir) {
		return nil
	}
	if addr == nil {
		if err := unix.Mount("tmpfs", scratchDir, "tmpfs", 0, "mode=0755"); err != nil {
			return err
		}
	} else {
		target, err := a.disks.Mount(ctx, diskAddress(addr), "ext4", false)
		if err != nil {
			return err
		}
		if err := growToDisk(target); err != nil {
			a.disks.Release(diskAddress(addr))
			return err
		}
		if err := unix.Mount(target, scratchDir, "", unix.MS_BIND, ""); err != nil {
			a.disks.Release(diskAddress(addr))
			return err
		}
	}
	for _, dir := range []string{volumesDir, upperDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func diskAddress(a *api.DiskAddress) disk.Address {
	return disk.Address{Controller: a.GetController(), LUN: a.GetLun()}
}

func isMountPoint(dir string) bool {
	mounted, err := mountinfo.Mounted(dir)
	return err == nil && mounted
}

func mountShm(size uint64, owner int) error {
	if size == 0 {
		size = defaultShm
	}
	dir := filepath.Join(sandboxDir, "shm")
	if isMountPoint(dir) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	options := fmt.Sprintf("mode=1777,size=%d,uid=%d,gid=%d", size, owner, owner)
	return unix.Mount("shm", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options)
}

var sysctlName = regexp.MustCompile(`^[a-zA-Z0-9_-]+([./][a-zA-Z0-9_.:@-]+)+$`)

// sysctlPath is the file of a sysctl. The kernel is the pod's own, so every
// name is allowed. As sysctl(8): a name whose first separator is a slash keeps its dots.
func sysctlPath(name string) (string, error) {
	if len(name) > 256 || !sysctlName.MatchString(name) || strings.Contains(name, "..") {
		return "", invalid("sysctl %q: not a valid name", name)
	}
	if i := strings.IndexAny(name, "./"); name[i] == '.' {
		name = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	return filepath.Join("/proc/sys", name), nil
}

// setSysctls sets them for the namespaces of the thread it runs on.
func (n *podNamespaces) setSysctls(sysctls map[string]string) error {
	for name, value := range sysctls {
		path, err := sysctlPath(name)
		if err != nil {
			return err
		}
		err = os.WriteFile(path, []byte(value), 0)
		if errors.Is(err, os.ErrPermission) && n != nil {
			err = n.asRoot(func() error { return os.WriteFile(path, []byte(value), 0) })
		}
		if err != nil {
			return invalid("sysctl %s=%q: %v", name, value, err)
		}
	}
	return nil
}
