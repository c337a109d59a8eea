//go:build linux

package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest/api"
)

// runtimeVersion is what the image's crun accepts; it refuses every newer
// specification, though it reads what matters of them alike.
const runtimeVersion = "1.0.2"

// specDefaults are what an exec inherits from its container.
type specDefaults struct{ process specs.Process }

// parseSpec decodes the host's part of a container's specification.
func parseSpec(raw []byte) (*specs.Spec, error) {
	spec := &specs.Spec{}
	if err := json.Unmarshal(raw, spec); err != nil {
		return nil, invalid("spec: %v", err)
	}
	if spec.Process == nil || len(spec.Process.Args) == 0 || spec.Process.Args[0] == "" {
		return nil, invalid("spec: process.args is empty")
	}
	if spec.Process.Cwd == "" {
		spec.Process.Cwd = "/"
	}
	if !filepath.IsAbs(spec.Process.Cwd) {
		return nil, invalid("spec: process.cwd %q is not absolute", spec.Process.Cwd)
	}
	if spec.Linux == nil {
		spec.Linux = &specs.Linux{}
	}
	return spec, nil
}

// completeSpec fills in what is the agent's to say.
func (c *container) completeSpec(spec *specs.Spec, req *api.CreateContainerRequest, namespaces []specs.LinuxNamespace) {
	spec.Version = runtimeVersion
	spec.Root = &specs.Root{Path: c.rootfs(), Readonly: req.ReadOnlyRootfs}
	if spec.Hooks != nil { // the others would run in the VM, where their programs are not
		spec.Hooks = &specs.Hooks{StartContainer: spec.Hooks.StartContainer}
	}
	spec.Hostname, spec.Domainname = "", "" // the VM's
	spec.Process.Terminal = req.Terminal
	if !slices.ContainsFunc(spec.Process.Env, func(e string) bool { return strings.HasPrefix(e, "HOME=") }) {
		spec.Process.Env = append(spec.Process.Env, "HOME="+c.home)
	}
	spec.Process.User.UID, spec.Process.User.GID = c.user.Uid, c.user.Gid
	spec.Process.User.AdditionalGids = c.user.Groups
	spec.Linux.Namespaces = namespaces
	spec.Linux.CgroupsPath = "/pod/" + c.id
	// crun's own is not to be inherited, but by Wine: its processes are many and
	// alike, so that an emulator gains from their having the same addresses.
	spec.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux}
	if req.Windows != nil {
		spec.Linux.Personality = nil
	}
	spec.Linux.Sysctl = nil // the VM's, and set
	spec.Linux.UIDMappings, spec.Linux.GIDMappings = nil, nil
	for _, m := range req.Mounts {
		switch m.Propagation {
		case api.Propagation_PROPAGATION_RSHARED:
			spec.Linux.RootfsPropagation = "rshared"
		case api.Propagation_PROPAGATION_RSLAVE:
			if spec.Linux.RootfsPropagation != "rshared" {
				spec.Linux.RootfsPropagation = "rslave"
			}
		}
	}
	for i := range spec.Linux.Devices {
		d := &spec.Linux.Devices[i]
		d.UID, d.GID = cmp.Or(d.UID, &c.user.Uid), cmp.Or(d.GID, &c.user.Gid)
	}
	c.spec = specDefaults{process: *spec.Process}
}

// namespaces are the container's. The VM is the pod: its network, IPC and host
// name are the container's, unless the pod has a user namespace to own others.
func (c *container) namespaces(pid *specs.LinuxNamespace) []specs.LinuxNamespace {
	all := append(c.pod.joined(), specs.LinuxNamespace{Type: specs.MountNamespace}, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	if pid != nil {
		all = append(all, *pid)
	}
	return all
}

// execProcess decodes an exec's process.
func (d specDefaults) execProcess(raw []byte, terminal bool, width, height uint32) (*specs.Process, error) {
	p := &specs.Process{}
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, invalid("process: %v", err)
	}
	return p, d.fill(p, terminal, width, height)
}

// fill takes what an exec leaves open from its container.
func (d specDefaults) fill(p *specs.Process, terminal bool, width, height uint32) error {
	if len(p.Args) == 0 || p.Args[0] == "" {
		return invalid("process: args is empty")
	}
	if p.Cwd == "" {
		p.Cwd = d.process.Cwd
	}
	if p.Env == nil {
		p.Env = d.process.Env
	}
	if p.User.UID == 0 && p.User.GID == 0 && p.User.AdditionalGids == nil {
		p.User = d.process.User
	}
	if p.Capabilities == nil {
		p.Capabilities = d.process.Capabilities
	}
	if p.Rlimits == nil {
		p.Rlimits = d.process.Rlimits
	}
	if p.OOMScoreAdj == nil {
		p.OOMScoreAdj = d.process.OOMScoreAdj
	}
	p.NoNewPrivileges = p.NoNewPrivileges || d.process.NoNewPrivileges
	p.Terminal = terminal
	if terminal && width > 0 && height > 0 {
		p.ConsoleSize = &specs.Box{Width: uint(width), Height: uint(height)}
	}
	return nil
}

func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	return os.WriteFile(path, raw, 0o600)
}
