package windows

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Wine is a Wine made by hack/wine.sh, with the stand-in libraries in its prefix.
type Wine struct {
	// Repo is the repository's root, Dir the Wine's.
	Repo, Dir string
}

// FindWine finds the Wine in the repository's cache and puts the libraries in.
func FindWine() (*Wine, error) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	w := &Wine{Repo: repo, Dir: filepath.Join(repo, ".cache", "wine")}
	if _, err := os.Stat(filepath.Join(w.Dir, "stamp")); err != nil {
		return nil, fmt.Errorf("%w (make wine makes it)", err)
	}
	return w, w.buildLibraries()
}

// Prefix is Wine's prefix.
func (w *Wine) Prefix() string { return filepath.Join(w.Dir, "prefix") }

// buildLibraries compiles dll/*.c to system32.
func (w *Wine) buildLibraries() error {
	sources, err := filepath.Glob("dll/*.c")
	if err != nil {
		return err
	}
	for _, source := range sources {
		library := filepath.Join(w.Prefix(), "drive_c/windows/system32", strings.TrimSuffix(filepath.Base(source), ".c")+".dll")
		out, err := exec.Command("x86_64-w64-mingw32-gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-s", "-o", library, source, "-lws2_32", "-lole32").CombinedOutput()
		if err != nil {
			return fmt.Errorf("build %s: %w: %s", library, err, out)
		}
	}
	return nil
}

// Build compiles a package of the repository for Windows, in the form for Wine, to bin.
func (w *Wine) Build(bin, pkg string, test bool) error {
	args := []string{"build"}
	if test {
		args = []string{"test", "-c"}
	}
	cmd := exec.Command("go", append(args, "-tags", "wine", "-o", bin, pkg)...)
	cmd.Dir = w.Repo
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return nil
}

// Command is a Windows program to run.
func (w *Wine) Command(ctx context.Context, env []string, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(w.Dir, "wine"), append([]string{program}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// Stop ends Wine's own processes, which outlive the programs that ran under it.
func (w *Wine) Stop() error {
	cmd := exec.Command(filepath.Join(w.Dir, "root/usr/lib/wine/wineserver64"), "-k")
	cmd.Env = append(os.Environ(), "WINEPREFIX="+w.Prefix())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("stop Wine: %w: %s", err, out)
	}
	return nil
}

// Path is a path of this machine as Windows programs name it.
func Path(unix string) string { return `Z:` + strings.ReplaceAll(unix, "/", `\`) }
