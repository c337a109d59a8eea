package ocispec

import (
	"encoding/json"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// seccompFilter returns the filter for a spec whose capabilities are set, or nil for none.
func seccompFilter(c Container, spec *specs.Spec) (*specs.LinuxSeccomp, error) {
	switch {
	case c.Privileged || c.Seccomp.Unconfined:
		return nil, nil
	case c.Seccomp.Profile == nil:
		return defaultProfile(spec)
	}
	profile := new(specs.LinuxSeccomp)
	if err := json.Unmarshal(c.Seccomp.Profile, profile); err != nil {
		return nil, fmt.Errorf("%w: seccomp profile: %v", ErrInvalid, err)
	}
	if profile.DefaultAction == "" {
		return nil, fmt.Errorf("%w: seccomp profile has no defaultAction", ErrInvalid)
	}
	return profile, nil
}
