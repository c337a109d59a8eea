package imageservice

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/Microsoft/hcsshim/ext4/tar2ext4"
)

// ext4Unpacker makes a layer a read-only ext4 disk for use with overlayfs:
// whiteouts are what overlayfs knows them by.
type ext4Unpacker struct {
	// maxBytes bounds the disk.
	maxBytes int64
	// windows: the layer is one of a Windows image; see windowsLayout.
	windows bool
}

func (ext4Unpacker) FSType() string { return "ext4" }

func (u ext4Unpacker) Extension() string {
	if u.windows {
		return ".windows.ext4"
	}
	return ".ext4"
}

// scanner reads a layer as it lies in the image.
func (u ext4Unpacker) scanner(r io.Reader) *tarScanner {
	s := newTarScanner(r)
	if u.windows {
		s.layout = newWindowsLayout()
	}
	return s
}

// Unpack writes the disk in one pass. Layers that replace their own entries take
// two more: one to plan, one to write.
func (u ext4Unpacker) Unpack(ctx context.Context, open OpenLayer, dst *os.File) error {
	err := u.write(open, dst, nil)
	if !errors.Is(err, errNeedsPlan) {
		return err
	}
	plan, err := u.plan(open)
	if err != nil {
		return err
	}
	if err := dst.Truncate(0); err != nil {
		return err
	}
	return u.write(open, dst, plan)
}

func (u ext4Unpacker) plan(open OpenLayer) (*tarPlan, error) {
	layer, err := open()
	if err != nil {
		return nil, err
	}
	defer layer.Close()
	return newTarPlan(u.scanner(layer))
}

// write converts the layer. The layer's stream stays open for its caller to verify.
func (u ext4Unpacker) write(open OpenLayer, dst *os.File, plan *tarPlan) error {
	layer, err := open()
	if err != nil {
		return err
	}
	if _, err := dst.Seek(0, io.SeekStart); err != nil {
		return err
	}
	pr, pw := io.Pipe()
	rewritten := make(chan error, 1)
	go func() {
		out := bufio.NewWriterSize(pw, 256<<10)
		err := rewriteTar(u.scanner(layer), out, plan)
		if err == nil {
			err = out.Flush()
		}
		pw.CloseWithError(err)
		rewritten <- err
	}()
	disk := &sparseFile{file: dst}
	err = tar2ext4.ConvertTarToExt4(pr, disk, tar2ext4.ConvertWhiteout, tar2ext4.MaximumDiskSize(u.maxBytes))
	pr.CloseWithError(errStopped)
	if rerr := <-rewritten; rerr != nil && !errors.Is(rerr, errStopped) {
		return rerr // the cause; what the converter says follows from it
	}
	if err != nil {
		return converterError(err)
	}
	if err := disk.finish(); err != nil {
		return err
	}
	return padInodeBitmaps(dst)
}

// errStopped: the converter gave up, there is no use in rewriting on.
var errStopped = errors.New("converter stopped")

// converterError tells a full disk or failing file from a layer that ext4 cannot hold.
func converterError(err error) error {
	var pathErr *os.PathError
	if isNoSpace(err) || errors.As(err, &pathErr) {
		return err
	}
	if strings.Contains(err.Error(), "exceeded maximum size") {
		return corrupt("its disk is larger than allowed: %w", err)
	}
	return corrupt("it cannot be written as ext4: %w", fmt.Errorf("%s", err))
}
