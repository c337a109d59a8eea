package podsandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// scratchFormat names how templates are formatted; a change of the options below changes it.
const scratchFormat = 1

// ext4Scratch copies a sparse raw image, formatted once per size and format.
type ext4Scratch struct {
	dir  string
	size uint64
	op   opLock // held while the template is made
}

// NewExt4Scratch makes disks of size bytes from a template kept in dir.
func NewExt4Scratch(dir string, size uint64) ScratchMaker {
	return &ext4Scratch{dir: dir, size: size, op: newOpLock()}
}

func (e *ext4Scratch) FileName() string { return "scratch.ext4" }

func (e *ext4Scratch) Make(ctx context.Context, path string) error {
	template, err := e.template(ctx)
	if err != nil {
		return err
	}
	if err := copySparse(ctx, template, path); err != nil {
		os.Remove(path)
		return fmt.Errorf("scratch disk: %w", err)
	}
	return nil
}

// template returns the formatted image's path, and makes it at the first call.
func (e *ext4Scratch) template(ctx context.Context) (string, error) {
	path := filepath.Join(e.dir, fmt.Sprintf("ext4-v%d-%d", scratchFormat, e.size))
	if err := e.op.lock(ctx); err != nil {
		return "", err
	}
	defer e.op.unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return "", fmt.Errorf("scratch template: %w", err)
	}
	tmp := path + ".new"
	defer os.Remove(tmp)
	if err := e.format(ctx, tmp); err != nil {
		return "", fmt.Errorf("scratch template %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", fmt.Errorf("scratch template: %w", err)
	}
	return path, nil
}

// format makes an empty file system. It has no journal: what is on it need not
// outlive a crash of its VM.
func (e *ext4Scratch) format(ctx context.Context, path string) error {
	return formatExt4(ctx, path, e.size, "-O", "^has_journal")
}

// formatExt4 makes a sparse file with an ext4 of size bytes.
func formatExt4(ctx context.Context, path string, size uint64, options ...string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(int64(size))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	args := append([]string{"-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0"}, options...)
	cmd := exec.CommandContext(ctx, "mkfs.ext4", append(args, path)...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if cmd.Err != nil { // not in PATH, which may lack the administrator's folders
		cmd.Path, cmd.Err = "/usr/sbin/mkfs.ext4", nil
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %.500s (is e2fsprogs installed?)", err, out)
	}
	return nil
}
