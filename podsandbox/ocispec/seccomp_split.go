package ocispec

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// splitProfile is the default seccomp profile taken apart, for hosts on which its
// library knows none: what it is without capabilities, and what each changes.
type splitProfile struct {
	Base         specs.LinuxSeccomp
	Capabilities map[string]profileChange
}

// profileChange is what a capability takes out of the profile and adds to it.
type profileChange struct {
	Removed, Added []specs.LinuxSyscall
}

// defaultSplit is written by the test of this package (go test -update) on Linux, which also
// holds it against the library.
//
//go:embed seccomp_default.json
var defaultSplit []byte

// splitDefault is the default profile for a process with these capabilities.
func splitDefault(capabilities []string) (*specs.LinuxSeccomp, error) {
	var split splitProfile
	if err := json.Unmarshal(defaultSplit, &split); err != nil {
		return nil, fmt.Errorf("built-in seccomp profile: %w", err)
	}
	profile := &split.Base
	for _, c := range capabilities {
		for _, gone := range split.Capabilities[c].Removed {
			profile.Syscalls = slices.DeleteFunc(profile.Syscalls, func(s specs.LinuxSyscall) bool { return sameRule(s, gone) })
		}
	}
	for _, c := range capabilities {
		profile.Syscalls = append(profile.Syscalls, split.Capabilities[c].Added...)
	}
	return profile, nil
}

func sameRule(a, b specs.LinuxSyscall) bool {
	sameErrno := a.ErrnoRet == b.ErrnoRet || a.ErrnoRet != nil && b.ErrnoRet != nil && *a.ErrnoRet == *b.ErrnoRet
	return a.Action == b.Action && sameErrno && slices.Equal(a.Names, b.Names) && slices.Equal(a.Args, b.Args)
}
