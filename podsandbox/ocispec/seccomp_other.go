//go:build !linux

package ocispec

import specs "github.com/opencontainers/runtime-spec/specs-go"

// defaultProfile is containerd's default for a spec whose capabilities are set.
// Its library makes an empty one on hosts other than Linux, as if no guest were.
func defaultProfile(spec *specs.Spec) (*specs.LinuxSeccomp, error) {
	return splitDefault(spec.Process.Capabilities.Bounding)
}
