package cri

import (
	"net/netip"
	"regexp"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
)

const (
	maxDNSEntries   = 64
	maxDNSLength    = 2048
	maxPortMappings = 4096
)

var sysctlPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]+([./][a-zA-Z0-9_-]+)+$`)

// checkSandboxConfig refuses a pod sandbox that can never be run.
func (c Config) checkSandboxConfig(cfg *runtimeapi.PodSandboxConfig) error {
	if cfg == nil {
		return invalid("config", "is required")
	}
	if err := checkSandboxMetadata(cfg.GetMetadata()); err != nil {
		return err
	}
	if err := checkHostname(cfg.GetHostname()); err != nil {
		return err
	}
	if dir := cfg.GetLogDirectory(); dir != "" {
		if err := checkPath("config.log_directory", dir, c.HostOS); err != nil {
			return err
		}
		if hasDotDot(dir) {
			return invalid("config.log_directory", "%q contains ..", clip(dir))
		}
	}
	if err := checkDNS(cfg.GetDnsConfig()); err != nil {
		return err
	}
	if err := checkPortMappings(cfg.GetPortMappings()); err != nil {
		return err
	}
	if err := checkLabels("config.labels", cfg.GetLabels()); err != nil {
		return err
	}
	if err := checkAnnotations("config.annotations", cfg.GetAnnotations()); err != nil {
		return err
	}
	if cfg.GetWindows().GetSecurityContext().GetHostProcess() {
		return missingHostProcess.err()
	}
	if cfg.GetWindows().GetSecurityContext().GetCredentialSpec() != "" {
		return missingCredentialSpec.err()
	}
	return c.checkLinuxSandbox(cfg.GetLinux())
}

func checkSandboxMetadata(m *runtimeapi.PodSandboxMetadata) error {
	if m == nil {
		return invalid("config.metadata", "is required")
	}
	if err := checkName("config.metadata.name", m.GetName()); err != nil {
		return err
	}
	if err := checkName("config.metadata.uid", m.GetUid()); err != nil {
		return err
	}
	return checkName("config.metadata.namespace", m.GetNamespace())
}

func checkHostname(name string) error {
	if name == "" {
		return nil
	}
	if len(name) > maxHostnameLength {
		return invalid("config.hostname", "is longer than %d characters", maxHostnameLength)
	}
	if !hostnamePattern.MatchString(name) {
		return invalid("config.hostname", "%q is not a host name", clip(name))
	}
	return nil
}

func checkDNS(d *runtimeapi.DNSConfig) error {
	for _, s := range d.GetServers() {
		if _, err := netip.ParseAddr(s); err != nil {
			return invalid("config.dns_config.servers", "%q is not an IP address", clip(s))
		}
	}
	if len(d.GetServers()) > maxDNSEntries || len(d.GetSearches()) > maxDNSEntries || len(d.GetOptions()) > maxDNSEntries {
		return invalid("config.dns_config", "has more than %d entries", maxDNSEntries)
	}
	for _, s := range d.GetSearches() {
		if err := checkResolvWord("config.dns_config.searches", s); err != nil {
			return err
		}
	}
	for _, s := range d.GetOptions() {
		if err := checkResolvWord("config.dns_config.options", s); err != nil {
			return err
		}
	}
	return nil
}

// checkResolvWord refuses what would become another line or word of resolv.conf.
func checkResolvWord(field, s string) error {
	if s == "" || len(s) > maxDNSLength || strings.ContainsAny(s, " \t") || hasControl(s) {
		return invalid(field, "%q is not one word", clip(s))
	}
	return nil
}

func checkPortMappings(list []*runtimeapi.PortMapping) error {
	const field = "config.port_mappings"
	if len(list) > maxPortMappings {
		return invalid(field, "are more than %d", maxPortMappings)
	}
	for i, m := range list {
		if err := checkEnum(at(field, i, "protocol"), m.GetProtocol()); err != nil {
			return err
		}
		if p := m.GetContainerPort(); p < 1 || p > 65535 {
			return invalid(at(field, i, "container_port"), "%d is not a port", p)
		}
		if p := m.GetHostPort(); p < 0 || p > 65535 {
			return invalid(at(field, i, "host_port"), "%d is not a port", p)
		}
		if ip := m.GetHostIp(); ip != "" {
			if _, err := netip.ParseAddr(ip); err != nil {
				return invalid(at(field, i, "host_ip"), "%q is not an IP address", clip(ip))
			}
		}
	}
	return nil
}

func (c Config) checkLinuxSandbox(l *runtimeapi.LinuxPodSandboxConfig) error {
	if err := c.checkCgroupParent(l.GetCgroupParent()); err != nil {
		return err
	}
	for k, v := range l.GetSysctls() {
		if len(k) > maxNameLength || !sysctlPattern.MatchString(k) {
			return invalid("config.linux.sysctls", "%q is not a sysctl", clip(k))
		}
		if len(v) > maxPathLength || hasControl(strings.ReplaceAll(v, "\t", " ")) {
			return invalid("config.linux.sysctls", "the value of %q is too long or has control characters", k)
		}
	}
	if err := checkLinuxResources("config.linux.overhead", l.GetOverhead()); err != nil {
		return err
	}
	if err := checkLinuxResources("config.linux.resources", l.GetResources()); err != nil {
		return err
	}
	if err := c.checkHostNetwork(l); err != nil {
		return err
	}
	return checkSandboxSecurity(l.GetSecurityContext())
}

// checkHostNetwork refuses what a pod on the node's network cannot have, as runc does.
func (c Config) checkHostNetwork(l *runtimeapi.LinuxPodSandboxConfig) error {
	if l.GetSecurityContext().GetNamespaceOptions().GetNetwork() != runtimeapi.NamespaceMode_NODE {
		return nil
	}
	// What can never work comes before what this configuration does not allow.
	o := l.GetSecurityContext().GetNamespaceOptions()
	if err := checkUserNamespace("config.linux.security_context.namespace_options", o); err != nil {
		return err
	}
	if !c.HostNetwork {
		return c.missingHostNetwork().err()
	}
	for name := range l.GetSysctls() {
		if strings.HasPrefix(name, "net.") || strings.HasPrefix(name, "net/") {
			return invalid("config.linux.sysctls", "%q is a setting of the node's network, which the pod is on", name)
		}
	}
	return nil
}

// checkCgroupParent takes cgroupfs paths and systemd slices.
func (c Config) checkCgroupParent(parent string) error {
	if parent == "" {
		return nil
	}
	const field = "config.linux.cgroup_parent"
	if len(parent) > maxPathLength || hasControl(parent) || hasDotDot(parent) {
		return invalid(field, "%q is not a cgroup", clip(parent))
	}
	slice := c.CgroupDriver == runtimeapi.CgroupDriver_SYSTEMD && strings.HasSuffix(parent, ".slice")
	if !slice && !isAbs(parent, guest.Linux) {
		return invalid(field, "%q is not an absolute path", clip(parent))
	}
	return nil
}

func checkSandboxSecurity(sc *runtimeapi.LinuxSandboxSecurityContext) error {
	const field = "config.linux.security_context"
	if err := checkNamespaces(field, sc.GetNamespaceOptions()); err != nil {
		return err
	}
	if o := sc.GetNamespaceOptions(); o.GetPid() == runtimeapi.NamespaceMode_TARGET {
		return invalid(field+".namespace_options.pid", "TARGET is for containers")
	}
	if sc.GetRunAsGroup() != nil && sc.GetRunAsUser() == nil {
		return invalid(field+".run_as_group", "needs run_as_user")
	}
	if err := checkUserIDs(field, sc.GetRunAsUser(), sc.GetRunAsGroup(), sc.GetSupplementalGroups()); err != nil {
		return err
	}
	if err := checkEnum(field+".supplemental_groups_policy", sc.GetSupplementalGroupsPolicy()); err != nil {
		return err
	}
	if err := checkSeccomp(field, sc.GetSeccomp(), sc.GetSeccompProfilePath()); err != nil { //nolint:staticcheck // old clients send it
		return err
	}
	return checkAppArmor(field, sc.GetApparmor(), "")
}
