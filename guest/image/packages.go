package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Names of the package the guest's kernel comes from.
const (
	kernelMetaPackage = "linux-image-cloud-amd64"
	kernelPrefix      = "linux-image-6."
)

// listsMaxAge is how old the package lists may be before they are fetched again.
const listsMaxAge = 24 * time.Hour

// Package is one Debian package that went into the image.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	file    string // the .deb, on the host
}

// apt downloads packages with lists, cache and an empty status of its own, so
// that nothing depends on, or changes, what is installed on this machine.
type apt struct {
	dir string // holds all of the above
	log io.Writer
}

// sources are the archives asked, with apt verifying their signatures.
const sources = `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s/debian %[2]s main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s/debian %[2]s-updates main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s/debian-security %[2]s-security main
`

// newApt is for one of Debian's releases.
func newApt(dir, mirror, release string, log io.Writer) (*apt, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	a := &apt{dir: dir, log: log}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial", "none"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(sources, strings.TrimSuffix(mirror, "/"), release)
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	return a, os.WriteFile(filepath.Join(dir, "status"), nil, 0o644)
}

// run calls apt-get or apt-cache and returns what it printed.
func (a *apt) run(ctx context.Context, tool string, args ...string) (string, error) {
	return a.runIn(ctx, a.archives(), tool, args...)
}

// runIn is run in a directory, where apt-get download saves to.
func (a *apt) runIn(ctx context.Context, dir, tool string, args ...string) (string, error) {
	opts := []string{
		"-o", "Dir::State=" + filepath.Join(a.dir, "state"),
		"-o", "Dir::State::status=" + filepath.Join(a.dir, "status"),
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(a.dir, "sources.list"),
		"-o", "Dir::Etc::sourceparts=" + filepath.Join(a.dir, "none"),
		"-o", "Dir::Etc::preferencesparts=" + filepath.Join(a.dir, "none"),
		"-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=amd64",
		"-o", "APT::Install-Recommends=false", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
		"-o", "Debug::NoLocking=true", // the caller holds a lock of its own
	}
	cmd := exec.CommandContext(ctx, tool, append(opts, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args, " "), err, lastLines(errOut.String(), 5))
	}
	return out.String(), nil
}

func (a *apt) archives() string { return filepath.Join(a.dir, "cache/archives") }

// update fetches the package lists unless they are fresh. Old lists do when
// the archive cannot be reached.
func (a *apt) update(ctx context.Context) error {
	stamp := filepath.Join(a.dir, "updated")
	st, statErr := os.Stat(stamp)
	if statErr == nil && time.Since(st.ModTime()) < listsMaxAge {
		return nil
	}
	fmt.Fprintln(a.log, "guest image: fetching Debian's package lists")
	if _, err := a.run(ctx, "apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update"); err != nil {
		if statErr == nil && ctx.Err() == nil {
			fmt.Fprintf(a.log, "guest image: cannot fetch package lists, using those of %s: %v\n", st.ModTime().UTC().Format(time.DateOnly), err)
			return nil
		}
		return fmt.Errorf("fetch Debian's package lists (is the network up?): %w", err)
	}
	return os.WriteFile(stamp, nil, 0o644)
}

// kernelPackage resolves the meta package to the kernel it depends on.
func (a *apt) kernelPackage(ctx context.Context) (string, error) {
	out, err := a.run(ctx, "apt-cache", "depends", kernelMetaPackage)
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(out, "\n") {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if ok && strings.HasPrefix(name, kernelPrefix) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s depends on no package %s*", kernelMetaPackage, kernelPrefix)
}

// fetch downloads the kernel.
func (a *apt) fetch(ctx context.Context) ([]Package, error) {
	if err := a.update(ctx); err != nil {
		return nil, err
	}
	kernel, err := a.kernelPackage(ctx)
	if err != nil {
		return nil, err
	}
	return a.get(ctx, []string{"download", kernel})
}

// get runs commands of apt-get that download packages, and returns those sorted by name.
func (a *apt) get(ctx context.Context, commands ...[]string) ([]Package, error) {
	var names []string
	for _, args := range commands {
		files, err := a.fileNames(ctx, args)
		if err != nil {
			return nil, err
		}
		names = append(names, files...)
		if _, err := a.run(ctx, "apt-get", append([]string{"-qq"}, args...)...); err != nil {
			return nil, err
		}
	}
	return a.describe(ctx, names)
}

// fileNames tells which files an apt-get command downloads. What is there
// already is not listed, so it is asked with an empty directory.
func (a *apt) fileNames(ctx context.Context, args []string) ([]string, error) {
	none := filepath.Join(a.dir, "none")
	ask := append([]string{"-qq", "--print-uris", "-o", "Dir::Cache::archives=" + none}, args...)
	uris, err := a.runIn(ctx, none, "apt-get", ask...)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, line := range strings.Split(strings.TrimSpace(uris), "\n") {
		if f := strings.Fields(line); len(f) >= 3 { // 'URI' file size digest
			names = append(names, f[1])
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("apt-get %s would download nothing", strings.Join(args, " "))
	}
	return names, nil
}

// describe reads name, version and digest of downloaded packages.
func (a *apt) describe(ctx context.Context, names []string) ([]Package, error) {
	var pkgs []Package
	for _, n := range names {
		p := Package{file: filepath.Join(a.archives(), n)}
		var err error
		if p.SHA256, err = sha256File(p.file); err != nil {
			return nil, err
		}
		out, err := exec.CommandContext(ctx, "dpkg-deb", "--show", "--showformat=${Package} ${Version}", p.file).Output()
		if err != nil {
			return nil, fmt.Errorf("read package %s: %w", n, err)
		}
		p.Name, p.Version, _ = strings.Cut(string(out), " ")
		pkgs = append(pkgs, p)
	}
	sort.Slice(pkgs, func(i, j int) bool { return pkgs[i].Name < pkgs[j].Name })
	return pkgs, nil
}

// unpack unpacks every package into dir.
func unpack(ctx context.Context, pkgs []Package, dir string) error {
	for _, p := range pkgs {
		out, err := exec.CommandContext(ctx, "dpkg", "-x", p.file, dir).CombinedOutput()
		if err != nil {
			return fmt.Errorf("unpack %s: %w: %s", p.file, err, lastLines(string(out), 3))
		}
	}
	return nil
}

func sha256File(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
