package ocispec

import (
	"github.com/containerd/containerd/v2/contrib/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// defaultProfile is containerd's default for a spec whose capabilities are set.
func defaultProfile(spec *specs.Spec) (*specs.LinuxSeccomp, error) {
	return seccomp.DefaultProfile(spec), nil
}
