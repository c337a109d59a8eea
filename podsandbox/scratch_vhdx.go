package podsandbox

import (
	"compress/gzip"
	"context"
	"fmt"
	"os"

	"github.com/paddock-run/paddock/podsandbox/vhdx"
)

// vhdxScratch writes a small file system into images of the size wanted; the agent grows it.
type vhdxScratch struct {
	template string
	size     uint64
}

// NewVHDXScratch makes disks of size bytes, for Hyper-V, from a template: an ext4
// file system compressed by gzip, which the guest image has.
func NewVHDXScratch(template string, size uint64) ScratchMaker {
	return &vhdxScratch{template: template, size: size}
}

func (v *vhdxScratch) FileName() string { return "scratch.vhdx" }

func (v *vhdxScratch) Make(ctx context.Context, path string) error {
	f, err := os.Open(v.template)
	if err != nil {
		return fmt.Errorf("scratch template: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("scratch template %s: %w", v.template, err)
	}
	const unit = 1 << 20
	if err := vhdx.Create(ctx, path, int64((v.size+unit-1)/unit*unit), z); err != nil {
		return fmt.Errorf("scratch disk: %w", err)
	}
	return nil
}
