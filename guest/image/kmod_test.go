package image

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSoftDepends(t *testing.T) {
	s := &moduleSet{byName: map[string]string{"crc32c_intel": "x", "a": "y", "c": "z"}}
	got := s.softDepends("pre: crc32c-intel missing a post: c")
	if d := cmp.Diff([]string{"crc32c_intel", "a"}, got); d != "" {
		t.Error(d)
	}
}

func TestModuleName(t *testing.T) {
	for in, want := range map[string]string{
		"kernel/drivers/pci/controller/pci-hyperv.ko": "pci_hyperv",
		"xt_DSCP.ko": "xt_DSCP",
	} {
		if got := moduleName(in); got != want {
			t.Errorf("moduleName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestResolveUnknown(t *testing.T) {
	s := &moduleSet{release: "6.1", byName: map[string]string{}, builtin: map[string]bool{"ext4": true}}
	if mods, err := s.resolve([]string{"ext4"}, map[string]bool{}); err != nil || len(mods) != 0 {
		t.Errorf("a built-in module resolved to %v, %v", mods, err)
	}
	_, err := s.resolve([]string{"nosuch"}, map[string]bool{})
	if err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("got error %v, want one that names the module", err)
	}
}
