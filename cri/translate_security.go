package cri

import (
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

func security(sc *runtimeapi.LinuxContainerSecurityContext) podsandbox.Security {
	return podsandbox.Security{
		Privileged:          sc.GetPrivileged(),
		AddCapabilities:     capabilityNames(sc.GetCapabilities().GetAddCapabilities()),
		DropCapabilities:    capabilityNames(sc.GetCapabilities().GetDropCapabilities()),
		AmbientCapabilities: capabilityNames(sc.GetCapabilities().GetAddAmbientCapabilities()),
		Namespaces:          namespaces(sc.GetNamespaceOptions()),
		RunAsUser:           optional(sc.GetRunAsUser()),
		RunAsGroup:          optional(sc.GetRunAsGroup()),
		RunAsUsername:       sc.GetRunAsUsername(),
		SupplementalGroups:  sc.GetSupplementalGroups(),
		StrictGroups:        sc.GetSupplementalGroupsPolicy() == runtimeapi.SupplementalGroupsPolicy_Strict,
		ReadOnlyRootfs:      sc.GetReadonlyRootfs(),
		NoNewPrivs:          sc.GetNoNewPrivs(),
		MaskedPaths:         sc.GetMaskedPaths(),
		ReadonlyPaths:       sc.GetReadonlyPaths(),
		Seccomp:             seccompProfile(sc.GetSeccomp(), sc.GetSeccompProfilePath()), //nolint:staticcheck // old clients send it
		AppArmor:            podsandbox.Profile{Kind: podsandbox.ProfileUnconfined},
		SELinuxLabel:        selinuxLabel(sc.GetSelinuxOptions()),
	}
}

func capabilityNames(list []string) []string {
	var out []string
	for _, c := range list {
		out = append(out, capabilityName(c))
	}
	return out
}

func optional(v *runtimeapi.Int64Value) *int64 {
	if v == nil {
		return nil
	}
	n := v.GetValue()
	return &n
}

// seccompProfile reads the profile, else the older path. Nothing at all means unconfined in CRI.
func seccompProfile(p *runtimeapi.SecurityProfile, path string) podsandbox.Profile {
	if p != nil {
		switch p.GetProfileType() {
		case runtimeapi.SecurityProfile_RuntimeDefault:
			return podsandbox.Profile{Kind: podsandbox.ProfileRuntimeDefault}
		case runtimeapi.SecurityProfile_Localhost:
			return podsandbox.Profile{Kind: podsandbox.ProfileLocalhost, Localhost: p.GetLocalhostRef()}
		}
		return podsandbox.Profile{Kind: podsandbox.ProfileUnconfined}
	}
	switch {
	case strings.HasSuffix(path, "/default"):
		return podsandbox.Profile{Kind: podsandbox.ProfileRuntimeDefault}
	case strings.HasPrefix(path, "localhost/"):
		return podsandbox.Profile{Kind: podsandbox.ProfileLocalhost, Localhost: strings.TrimPrefix(path, "localhost/")}
	}
	return podsandbox.Profile{Kind: podsandbox.ProfileUnconfined}
}

func selinuxLabel(o *runtimeapi.SELinuxOption) string {
	if o == nil || o.GetUser()+o.GetRole()+o.GetType()+o.GetLevel() == "" {
		return ""
	}
	return strings.Join([]string{o.GetUser(), o.GetRole(), o.GetType(), o.GetLevel()}, ":")
}
