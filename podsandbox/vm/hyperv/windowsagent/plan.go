package windowsagent

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
	"github.com/paddock-run/paddock/podsandbox/winspec"
)

const (
	// diskRoot is where scratch disks are mounted, by LUN, as with hcsshim.
	diskRoot = `C:\mounts\scsi\m`
	// folderRoot is where the pod's own folders are, on the VM's disk, as with hcsshim.
	folderRoot = `C:\SandboxMounts\`
)

// plan is a container to make.
type plan struct {
	noted
	layers    []bridge.Layer // topmost first
	mounts    []schema.MappedDirectory
	folders   []string // of the VM's disk, to be made if they are not there
	memory    *schema.ContainerMemory
	processor *schema.ContainerProcessor
	sandbox   sandbox
	namespace string
}

// plan decides what is made of a request; what cannot be made is refused.
func (a *Agent) plan(req *api.CreateContainerRequest) (*plan, error) {
	w := req.Windows
	if w.GetProcess() == nil {
		return nil, invalid("container %s is not a Windows one: this VM's guest is Windows", req.Id)
	}
	if w.Scratch == nil || w.Scratch.Controller != 0 {
		return nil, invalid("container %s has no scratch disk on the VM's controller", req.Id)
	}
	p := &plan{noted: noted{
		ID: req.Id, GuestID: guestID(req.Id), LUN: int32(w.Scratch.Lun), Root: fmt.Sprintf("%s%d", diskRoot, w.Scratch.Lun),
		Process: commandOf(w.Process, req.User.GetUser(), req.Terminal, req.Stdin, req.OutputWindow),
	}}
	for _, l := range slices.Backward(req.Layers) {
		folder, ok := a.cfg.Folder(l.Disk.GetController(), l.Disk.GetLun())
		if !ok || folder.LayerID == "" {
			return nil, invalid("container %s: a layer at %v, where the VM has none", req.Id, l.Disk)
		}
		p.layers = append(p.layers, bridge.Layer{ID: folder.LayerID, Path: folder.Path})
	}
	if len(p.layers) == 0 {
		return nil, invalid("container %s has no layers", req.Id)
	}
	for _, m := range req.Mounts {
		if err := a.planMount(p, m); err != nil {
			return nil, err
		}
	}
	var spec specs.Spec
	if len(req.Spec) > 0 {
		if err := json.Unmarshal(req.Spec, &spec); err != nil {
			return nil, invalid("container %s: its specification: %v", req.Id, err)
		}
	}
	if spec.Linux != nil {
		p.memory, p.processor = a.limits(spec.Linux.Resources)
	}
	a.mu.Lock()
	p.sandbox = a.sandbox
	a.mu.Unlock()
	if a.cfg.Namespace != nil {
		p.namespace = a.cfg.Namespace()
	}
	return p, nil
}

// commandOf is what a process runs, by Windows' rules.
func commandOf(w *api.WindowsProcess, user string, terminal, stdin bool, window uint32) command {
	c := command{Line: w.CommandLine, Dir: w.Dir, User: user, Terminal: terminal, Stdin: stdin, Window: window, Env: map[string]string{}}
	if c.Line == "" {
		c.Line = winspec.CommandLine(w.Args)
	}
	for _, e := range w.Env {
		name, value, _ := strings.Cut(e, "=")
		c.Env[name] = value
	}
	return c
}

// folderName is the name of a folder of the pod.
var folderName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)

func (a *Agent) planMount(p *plan, m *api.Mount) error {
	to := schema.MappedDirectory{ContainerPath: strings.ReplaceAll(m.Destination, "/", `\`), ReadOnly: m.ReadOnly}
	switch s := m.Source.(type) {
	case *api.Mount_Disk:
		folder, ok := a.cfg.Folder(s.Disk.Disk.GetController(), s.Disk.Disk.GetLun())
		if !ok || s.Disk.Block {
			return unsupported("mount %s: Windows containers on Windows hosts mount folders and files only", m.Destination)
		}
		to.HostPath = below(folder.Path, s.Disk.Subpath)
	case *api.Mount_Scratch:
		if s.Scratch.CopyUpFrom != "" {
			return nil // an image's own volume is on the container's scratch disk anyway
		}
		if !folderName.MatchString(s.Scratch.Name) {
			return invalid("mount %s: a folder named %q", m.Destination, s.Scratch.Name)
		}
		to.HostPath = folderRoot + strings.ReplaceAll(s.Scratch.Name, "/", `\`)
		p.folders = append(p.folders, to.HostPath)
	case *api.Mount_Tmpfs:
		return unsupported("mount %s: Windows has no volumes in memory: use an emptyDir without medium", m.Destination)
	default:
		return unsupported("mount %s: Windows containers on Windows hosts have no such volumes: use a hostPath, an emptyDir, or what is made of files (configMap, secret)", m.Destination)
	}
	p.mounts = append(p.mounts, to)
	return nil
}

// below is a path within a folder of the guest; both are clean.
func below(folder, subpath string) string {
	if subpath == "" {
		return folder
	}
	return folder + `\` + strings.ReplaceAll(subpath, "/", `\`)
}

// limits are a container's, of those that its specification has for Linux; nil: none.
// The guest takes one kind of limit of processors only: time wins.
func (a *Agent) limits(r *specs.LinuxResources) (*schema.ContainerMemory, *schema.ContainerProcessor) {
	var memory *schema.ContainerMemory
	var processor *schema.ContainerProcessor
	if r == nil {
		return nil, nil
	}
	if m := r.Memory; m != nil && m.Limit != nil && *m.Limit > 0 {
		memory = &schema.ContainerMemory{SizeInMB: evenMiB(uint64(*m.Limit))}
	}
	if c := r.CPU; c != nil && c.Quota != nil && *c.Quota > 0 && c.Period != nil && *c.Period > 0 && a.cfg.Processors > 0 {
		all := float64(*c.Period) * float64(a.cfg.Processors)
		processor = &schema.ContainerProcessor{Maximum: int32(max(1, min(wholeMaximum, float64(*c.Quota)*wholeMaximum/all)))}
	}
	return memory, processor
}

// wholeMaximum is the Maximum of a container that may use all processors.
const wholeMaximum = 10_000

// evenMiB is bytes in MiB; the service wants an even number.
func evenMiB(bytes uint64) uint64 { return (bytes + 2<<20 - 1) / (2 << 20) * 2 }

// document is the container as the guest makes it.
func (p *plan) document() schema.HostedSystem {
	c := &schema.Container{
		Storage:           &schema.Storage{Path: p.Root, Layers: p.layers},
		MappedDirectories: p.mounts, Memory: p.memory, Processor: p.processor,
	}
	if p.sandbox.Hostname != "" {
		c.GuestOs = &schema.GuestOs{HostName: p.sandbox.Hostname}
	}
	if p.namespace != "" {
		c.Networking = &schema.ContainerNetworking{
			AllowUnqualifiedDNSQuery: true, DNSSearchList: strings.Join(p.sandbox.Searches, ","), Namespace: p.namespace,
		}
	}
	return schema.HostedSystem{SchemaVersion: schema.Version{Major: 2, Minor: 1}, Container: c}
}
