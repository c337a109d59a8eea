//go:build linux

package agent

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestHugepageLimits(t *testing.T) {
	group := t.TempDir()
	if err := os.WriteFile(filepath.Join(group, "hugetlb.2MB.max"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	two, none := specs.LinuxHugepageLimit{Pagesize: "2MB", Limit: 4 << 20}, specs.LinuxHugepageLimit{Pagesize: "1GB"}
	if kept, err := hugepageLimits(group, []specs.LinuxHugepageLimit{none, two}); err != nil || !slices.Equal(kept, []specs.LinuxHugepageLimit{two}) {
		t.Errorf("%v, %v: want the guest's size only", kept, err)
	}
	none.Limit = 1 << 30
	if kept, err := hugepageLimits(group, []specs.LinuxHugepageLimit{none}); err == nil {
		t.Errorf("%v: pages that the guest lacks are promised", kept)
	}
}
