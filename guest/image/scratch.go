package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// scratchTemplateSize is the template's size, in bytes. Its file system reserves
// descriptors to grow to a thousand times that, which the agent has it do.
const scratchTemplateSize = 128 << 20

// makeScratch formats the template of scratch disks, for hosts without mkfs. It
// has no journal: what is on it need not outlive a crash of its VM.
func makeScratch(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "scratch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "ext4")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(path, scratchTemplateSize); err != nil {
		return nil, err
	}
	const id = "5c7a7c4e-5043-4b1d-9d0e-7ad0c4a7c400" // fixed, as all else: the same inputs give the same bytes
	cmd := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-O", "^has_journal,resize_inode", "-U", id,
		"-E", "nodiscard,lazy_itable_init=1,root_owner=0:0,hash_seed="+id, path)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "E2FSPROGS_FAKE_TIME=1600000000")
	if cmd.Err != nil { // not in PATH, which may lack the administrator's folders
		cmd.Path, cmd.Err = "/usr/sbin/mkfs.ext4", nil
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format the scratch disks' template: %w: %.500s (is e2fsprogs installed?)", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(z, f); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
