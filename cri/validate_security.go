package cri

import (
	"math"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
)

// capabilities are those of Linux, without CAP_.
var capabilities = setOf(
	"ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
	"DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
	"LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
	"NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT",
	"SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE",
	"SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM")

func setOf(keys ...string) map[string]bool {
	m := make(map[string]bool, len(keys))
	for _, k := range keys {
		m[k] = true
	}
	return m
}

// capabilityName is a capability as capabilities has it.
func capabilityName(name string) string { return strings.TrimPrefix(strings.ToUpper(name), "CAP_") }

// checkNamespaces refuses namespace modes that CRI or a VM pod does not have.
func checkNamespaces(field string, o *runtimeapi.NamespaceOption) error {
	field += ".namespace_options"
	for name, mode := range map[string]runtimeapi.NamespaceMode{"network": o.GetNetwork(), "pid": o.GetPid(), "ipc": o.GetIpc()} {
		if err := checkEnum(field+"."+name, mode); err != nil {
			return err
		}
	}
	if err := checkUserNamespace(field, o); err != nil {
		return err
	}
	switch o.GetNetwork() {
	case runtimeapi.NamespaceMode_CONTAINER, runtimeapi.NamespaceMode_TARGET:
		return invalid(field+".network", "cannot be %s", o.GetNetwork())
	}
	switch o.GetIpc() {
	case runtimeapi.NamespaceMode_CONTAINER, runtimeapi.NamespaceMode_TARGET:
		return invalid(field+".ipc", "cannot be %s", o.GetIpc())
	}
	if o.GetPid() == runtimeapi.NamespaceMode_TARGET {
		if err := checkID(field+".target_id", o.GetTargetId()); err != nil {
			return err
		}
	}
	return nil
}

// checkUserIDs refuses ids that a Linux kernel does not have; the highest means "no id".
func checkUserIDs(field string, user, group *runtimeapi.Int64Value, groups []int64) error {
	if user != nil && !validUserID(user.GetValue()) {
		return invalid(field+".run_as_user", "%d is not a user id", user.GetValue())
	}
	if group != nil && !validUserID(group.GetValue()) {
		return invalid(field+".run_as_group", "%d is not a group id", group.GetValue())
	}
	for _, g := range groups {
		if !validUserID(g) {
			return invalid(field+".supplemental_groups", "%d is not a group id", g)
		}
	}
	return nil
}

func validUserID(id int64) bool { return id >= 0 && id < math.MaxUint32 }

// checkSeccomp takes a profile, and the older path that old clients send instead.
func checkSeccomp(field string, p *runtimeapi.SecurityProfile, path string) error {
	if p == nil {
		switch {
		case path == "", path == "unconfined", path == "runtime/default", path == "docker/default":
			return nil
		case strings.HasPrefix(path, "localhost/"):
			return checkPath(field+".seccomp_profile_path", strings.TrimPrefix(path, "localhost/"), guest.Linux)
		}
		return invalid(field+".seccomp_profile_path", "%q is not a profile", clip(path))
	}
	if err := checkProfile(field+".seccomp", p); err != nil {
		return err
	}
	if p.GetProfileType() != runtimeapi.SecurityProfile_Localhost {
		return nil
	}
	if err := checkPath(field+".seccomp.localhost_ref", p.GetLocalhostRef(), guest.Linux); err != nil {
		return err
	}
	if hasDotDot(p.GetLocalhostRef()) {
		return invalid(field+".seccomp.localhost_ref", "%q contains ..", clip(p.GetLocalhostRef()))
	}
	return nil
}

// checkAppArmor refuses profiles of the node: the guest's kernel does not have
// them. The default and unconfined are the same there.
func checkAppArmor(field string, p *runtimeapi.SecurityProfile, name string) error {
	if p == nil {
		switch name {
		case "", "unconfined", "runtime/default":
			return nil
		}
		return invalid(field+".apparmor_profile", "%q: a pod in a VM cannot have AppArmor profiles of the node", clip(name))
	}
	if err := checkProfile(field+".apparmor", p); err != nil {
		return err
	}
	if p.GetProfileType() == runtimeapi.SecurityProfile_Localhost {
		return invalid(field+".apparmor", "%q: a pod in a VM cannot have AppArmor profiles of the node", clip(p.GetLocalhostRef()))
	}
	return nil
}

func checkProfile(field string, p *runtimeapi.SecurityProfile) error {
	if err := checkEnum(field+".profile_type", p.GetProfileType()); err != nil {
		return err
	}
	if p.GetProfileType() != runtimeapi.SecurityProfile_Localhost && p.GetLocalhostRef() != "" {
		return invalid(field+".localhost_ref", "needs profile_type Localhost")
	}
	return nil
}

// checkContainerSecurity refuses a security context that contradicts itself.
func checkContainerSecurity(sc *runtimeapi.LinuxContainerSecurityContext) error {
	const field = "config.linux.security_context"
	if err := checkNamespaces(field, sc.GetNamespaceOptions()); err != nil {
		return err
	}
	if sc.GetRunAsUser() != nil && sc.GetRunAsUsername() != "" {
		return invalid(field, "has both run_as_user and run_as_username")
	}
	if sc.GetRunAsGroup() != nil && sc.GetRunAsUser() == nil && sc.GetRunAsUsername() == "" {
		return invalid(field+".run_as_group", "needs run_as_user or run_as_username")
	}
	if n := sc.GetRunAsUsername(); len(n) > maxNameLength || strings.ContainsAny(n, ":/") || hasControl(n) {
		return invalid(field+".run_as_username", "%q is not a user name", clip(n))
	}
	if err := checkUserIDs(field, sc.GetRunAsUser(), sc.GetRunAsGroup(), sc.GetSupplementalGroups()); err != nil {
		return err
	}
	if err := checkEnum(field+".supplemental_groups_policy", sc.GetSupplementalGroupsPolicy()); err != nil {
		return err
	}
	c := sc.GetCapabilities()
	for _, list := range [][]string{c.GetAddCapabilities(), c.GetDropCapabilities(), c.GetAddAmbientCapabilities()} {
		for _, name := range list {
			if !capabilities[capabilityName(name)] {
				return invalid(field+".capabilities", "%q is not a capability", clip(name))
			}
		}
	}
	for _, list := range [][]string{sc.GetMaskedPaths(), sc.GetReadonlyPaths()} {
		for _, p := range list {
			if err := checkPath(field+" masked or read-only path", p, guest.Linux); err != nil {
				return err
			}
		}
	}
	if err := checkSeccomp(field, sc.GetSeccomp(), sc.GetSeccompProfilePath()); err != nil { //nolint:staticcheck // old clients send it
		return err
	}
	return checkAppArmor(field, sc.GetApparmor(), sc.GetApparmorProfile()) //nolint:staticcheck // as above
}
