// Package debian makes layers of images from Debian's packages: programs with
// all that they depend on, without their installation scripts.
package debian

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sources are the archives asked, with apt verifying their signatures.
const sources = `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s/debian bookworm main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s/debian bookworm-updates main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s/debian-security bookworm-security main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s/debian bookworm main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s/debian-security bookworm-security main
`

// Archive downloads packages with lists, cache and an empty status of its own,
// so that nothing depends on, or changes, what is installed on this machine.
type Archive struct {
	dir      string
	updated  bool
	closures map[string][]string // by the packages asked for: apt takes seconds for each
}

// Open makes an archive that keeps lists and packages in dir. DEBIAN_MIRROR names another mirror.
func Open(dir string) (*Archive, error) {
	a := &Archive{dir: dir, closures: map[string][]string{}}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial", "packages", "none"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	mirror := "http://deb.debian.org"
	if m := os.Getenv("DEBIAN_MIRROR"); m != "" {
		mirror = strings.TrimSuffix(strings.TrimSuffix(m, "/"), "/debian")
	}
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), fmt.Appendf(nil, sources, mirror), 0o644); err != nil {
		return nil, err
	}
	return a, os.WriteFile(filepath.Join(dir, "status"), nil, 0o644)
}

func (a *Archive) path(name string) string { return filepath.Join(a.dir, name) }

// run calls one of apt's tools in a folder and returns what it printed.
func (a *Archive) run(ctx context.Context, dir, tool string, args ...string) (string, error) {
	opts := []string{
		"-o", "Dir::State=" + a.path("state"), "-o", "Dir::State::status=" + a.path("status"),
		"-o", "Dir::Cache=" + a.path("cache"), "-o", "Dir::Etc::sourcelist=" + a.path("sources.list"),
		"-o", "Dir::Etc::sourceparts=" + a.path("none"), "-o", "Dir::Etc::preferencesparts=" + a.path("none"),
		"-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=amd64", "-o", "APT::Install-Recommends=false",
		"-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
	}
	cmd := exec.CommandContext(ctx, tool, append(opts, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// update fetches the package lists, once.
func (a *Archive) update(ctx context.Context) error {
	if a.updated {
		return nil
	}
	if _, err := a.run(ctx, a.dir, "apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update"); err != nil {
		return fmt.Errorf("fetch Debian's package lists (is the network up?): %w", err)
	}
	a.updated = true
	return nil
}

// Closure is the packages and all that they depend on, sorted by name.
func (a *Archive) Closure(ctx context.Context, packages ...string) ([]string, error) {
	if len(packages) == 0 {
		return nil, nil
	}
	asked := strings.Join(packages, " ")
	if names, known := a.closures[asked]; known {
		return slices.Clone(names), nil
	}
	if err := a.update(ctx); err != nil {
		return nil, err
	}
	out, err := a.run(ctx, a.dir, "apt-get", append([]string{"-qq", "--simulate", "install"}, packages...)...)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "Inst" {
			names = append(names, f[1])
		}
	}
	slices.Sort(names)
	a.closures[asked] = names
	return slices.Clone(names), nil
}

// Fetch downloads packages, without what they depend on, and returns their files.
func (a *Archive) Fetch(ctx context.Context, packages ...string) ([]string, error) {
	if err := a.update(ctx); err != nil {
		return nil, err
	}
	uris, err := a.run(ctx, a.path("none"), "apt-get", append([]string{"-qq", "--print-uris", "download"}, packages...)...)
	if err != nil {
		return nil, err
	}
	var files, missing []string
	for line := range strings.Lines(uris) { // 'URI' file size digest
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		file := filepath.Join(a.path("packages"), f[1])
		if _, err := os.Stat(file); err != nil {
			name, _, _ := strings.Cut(f[1], "_")
			missing = append(missing, name)
		}
		files = append(files, file)
	}
	if len(missing) > 0 {
		if _, err := a.run(ctx, a.path("packages"), "apt-get", append([]string{"-qq", "download"}, missing...)...); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Source downloads a source package and returns its original tar.
func (a *Archive) Source(ctx context.Context, name string) (string, error) {
	if err := a.update(ctx); err != nil {
		return "", err
	}
	if _, err := a.run(ctx, a.path("packages"), "apt-get", "-qq", "--download-only", "source", name); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(a.path("packages"), name+"_*.orig.tar.?z"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("apt-get source %s brought no original tar", name)
	}
	return slices.MaxFunc(files, func(x, y string) int { return modified(x).Compare(modified(y)) }), nil
}

func modified(file string) time.Time {
	st, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}
