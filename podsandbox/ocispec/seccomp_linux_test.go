package ocispec

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "write the split seccomp profile anew")

// special are the capabilities that change the default profile.
var special = []string{
	"CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE",
	"CAP_SYS_RAWIO", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_SYS_NICE", "CAP_SYSLOG", "CAP_BPF", "CAP_PERFMON",
}

func library(capabilities ...string) *specs.LinuxSeccomp {
	return seccomp.DefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: capabilities}}})
}

func notIn(all, other []specs.LinuxSyscall) []specs.LinuxSyscall {
	return slices.DeleteFunc(slices.Clone(all), func(s specs.LinuxSyscall) bool {
		return slices.ContainsFunc(other, func(o specs.LinuxSyscall) bool { return sameRule(s, o) })
	})
}

func split() splitProfile {
	base := library()
	p := splitProfile{Base: *base, Capabilities: map[string]profileChange{}}
	for _, c := range special {
		with := library(c)
		p.Capabilities[c] = profileChange{Removed: notIn(base.Syscalls, with.Syscalls), Added: notIn(with.Syscalls, base.Syscalls)}
	}
	return p
}

// The profile for other hosts says what the library says on Linux, whatever the capabilities.
func TestSplitProfile(t *testing.T) {
	if *update {
		data, err := json.MarshalIndent(split(), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("seccomp_default.json", append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		defaultSplit = data
	}
	sets := [][]string{nil, special, {"CAP_CHOWN", "CAP_SYS_CHROOT", "CAP_NET_RAW"}, {"CAP_SYS_ADMIN", "CAP_BPF"}}
	for _, c := range special {
		sets = append(sets, []string{c})
	}
	for _, capabilities := range sets {
		got, err := splitDefault(capabilities)
		if err != nil {
			t.Fatal(err)
		}
		want := library(capabilities...)
		missing, more := notIn(want.Syscalls, got.Syscalls), notIn(got.Syscalls, want.Syscalls)
		if got.DefaultAction != want.DefaultAction || !slices.Equal(got.Architectures, want.Architectures) || len(missing)+len(more) > 0 {
			t.Errorf("%q: lacks %d rules, has %d more (go test -run TestSplitProfile -update)", capabilities, len(missing), len(more))
		}
	}
}
