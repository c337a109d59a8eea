//go:build linux

package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// hugepageLimits returns the limits of sizes that a group's kernel has. Kubelet
// sends one of zero for every size that the node has, and the guest may have
// others: of pages that do not exist nobody can use one. Above zero they are an error.
func hugepageLimits(group string, limits []specs.LinuxHugepageLimit) ([]specs.LinuxHugepageLimit, error) {
	var kept []specs.LinuxHugepageLimit
	for _, l := range limits {
		_, err := os.Stat(filepath.Join(group, "hugetlb."+l.Pagesize+".max"))
		switch {
		case err == nil:
			kept = append(kept, l)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case l.Limit > 0:
			return nil, wrongState("the VM has no huge pages of %s", l.Pagesize)
		}
	}
	return kept, nil
}
