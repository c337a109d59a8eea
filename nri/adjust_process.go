package nri

import (
	"maps"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/podsandbox"
)

// adjustAnnotations changes the specification's annotations; what the CRI tells of the container stays as kubelet gave it.
func adjustAnnotations(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	if c.Spec.Annotations == nil {
		c.Spec.Annotations = map[string]string{}
	}
	// First what is removed: it may be set anew.
	for key := range want.GetAnnotations() {
		if name, remove := api.IsMarkedForRemoval(key); remove {
			delete(c.Spec.Annotations, name)
		}
	}
	for key, value := range want.GetAnnotations() {
		if _, remove := api.IsMarkedForRemoval(key); !remove {
			c.Spec.Annotations[key] = value
		}
	}
	return nil
}

// adjustEnv sets variables where they were, and adds new ones after the rest.
func adjustEnv(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	env := c.Spec.Process.Env
	for _, e := range want.GetEnv() {
		name, remove := e.IsMarkedForRemoval()
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return invalid("env", "%q is no name of a variable", name)
		}
		if strings.ContainsRune(e.GetValue(), 0) {
			return invalid("env", "the value of %s has a zero byte", name)
		}
		at := slices.IndexFunc(env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		switch {
		case remove && at >= 0:
			env = slices.Delete(env, at, at+1)
		case remove:
		case at >= 0:
			env[at] = name + "=" + e.GetValue()
		default:
			env = append(env, name+"="+e.GetValue())
		}
	}
	c.Spec.Process.Env = env
	return nil
}

func adjustArgs(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	args := want.GetArgs()
	if len(args) == 0 {
		return nil
	}
	if args[0] == "" {
		return invalid("args", "the program's name is empty")
	}
	c.Spec.Process.Args = args
	return nil
}

// adjustHooks adds hooks that run in the container; the others were refused.
func adjustHooks(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	for _, h := range want.GetHooks().GetStartContainer() {
		if !strings.HasPrefix(h.GetPath(), "/") {
			return invalid("hooks.start_container", "%q is no absolute path in the container", h.GetPath())
		}
		if c.Spec.Hooks == nil {
			c.Spec.Hooks = &specs.Hooks{}
		}
		c.Spec.Hooks.StartContainer = append(c.Spec.Hooks.StartContainer, h.ToOCI())
	}
	return nil
}

// rlimits are the resource limits of a process that Linux has.
var rlimits = []string{
	"RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_LOCKS", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE",
	"RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK",
}

func adjustRlimits(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	for _, l := range want.GetRlimits() {
		name := l.GetType()
		if !strings.HasPrefix(name, "RLIMIT_") { // as some plugins write it
			name = "RLIMIT_" + strings.ToUpper(name)
		}
		if !slices.Contains(rlimits, name) {
			return invalid("rlimits", "%q is no resource limit of Linux", l.GetType())
		}
		if l.GetSoft() > l.GetHard() {
			return invalid("rlimits", "%s: soft limit %d is above hard limit %d", name, l.GetSoft(), l.GetHard())
		}
		p := c.Spec.Process
		p.Rlimits = slices.DeleteFunc(p.Rlimits, func(old specs.POSIXRlimit) bool { return old.Type == name })
		p.Rlimits = append(p.Rlimits, specs.POSIXRlimit{Type: name, Soft: l.GetSoft(), Hard: l.GetHard()})
	}
	return nil
}

// adjustSysctls has the guest set them when it makes the container. The VM is
// the pod: they hold for all of it, and any that its kernel has may be set.
func adjustSysctls(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	next := maps.Clone(c.Spec.Linux.Sysctl)
	if next == nil {
		next = map[string]string{}
	}
	for key := range want.GetLinux().GetSysctl() {
		if name, remove := api.IsMarkedForRemoval(key); remove {
			delete(next, name)
		}
	}
	for key, value := range want.GetLinux().GetSysctl() {
		if _, remove := api.IsMarkedForRemoval(key); !remove {
			next[key] = value
		}
	}
	if len(next) > 0 {
		c.Spec.Linux.Sysctl = next
	}
	return nil
}

func adjustSeccomp(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	p := want.GetLinux().GetSeccompPolicy()
	if p == nil {
		return nil
	}
	if p.GetDefaultAction() == "" {
		return invalid("linux.seccomp_policy", "it has no default action")
	}
	out := &specs.LinuxSeccomp{
		DefaultAction: specs.LinuxSeccompAction(p.GetDefaultAction()), Syscalls: api.ToOCILinuxSyscalls(p.GetSyscalls()),
	}
	if e := p.GetDefaultErrno(); e != nil {
		value := uint(e.GetValue())
		out.DefaultErrnoRet = &value
	}
	for _, arch := range p.GetArchitectures() {
		out.Architectures = append(out.Architectures, specs.Arch(arch))
	}
	for _, flag := range p.GetFlags() {
		out.Flags = append(out.Flags, specs.LinuxSeccompFlag(flag))
	}
	c.Spec.Linux.Seccomp = out
	return nil
}
