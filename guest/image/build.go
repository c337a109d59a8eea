package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
)

// Files that Build leaves in Options.Out.
const (
	// KernelFile is Debian's kernel as packed.
	KernelFile = "vmlinuz"
	// ELFKernelFile is the ELF inside it, for hypervisors that enter it directly.
	ELFKernelFile = "vmlinux"
	// InitrdFile is the compressed root file system.
	InitrdFile = "initrd.img"
	// ScratchFile is an empty ext4 file system, compressed: the template of scratch disks.
	ScratchFile = "scratch.ext4.gz"
	// ManifestFile says what went in and came out.
	ManifestFile = "manifest.json"
)

// Options of a build. All paths are on this machine.
type Options struct {
	Out    string    // directory for the results
	Cache  string    // directory for downloads, kept between builds
	Agent  string    // the agent's program, static, for the guest
	Crun   string    // the OCI runtime, static
	Mirror string    // base URL of the Debian archives, e.g. http://deb.debian.org
	Log    io.Writer // progress, for people
}

// Manifest describes a build: the inputs, and the files they gave.
type Manifest struct {
	Packages []Package `json:"packages"`
	Agent    string    `json:"agentSHA256"`
	Crun     string    `json:"crunSHA256"`
	Kernel   string    `json:"kernelRelease"`
	Files    []File    `json:"files"`
}

// File is a result.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Build makes the guest image. Builds that share a cache run one at a time.
// Results are replaced one by one, each atomically, the manifest last.
func Build(ctx context.Context, o Options) (Manifest, error) {
	var m Manifest
	for _, d := range []string{o.Out, o.Cache} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return m, err
		}
	}
	unlock, err := lock(ctx, filepath.Join(o.Cache, "lock"))
	if err != nil {
		return m, err
	}
	defer unlock()

	a, err := newApt(filepath.Join(o.Cache, "apt"), o.Mirror, "bookworm", o.Log)
	if err != nil {
		return m, err
	}
	if m.Packages, err = a.fetch(ctx); err != nil {
		return m, err
	}
	if m.Agent, err = sha256File(o.Agent); err != nil {
		return m, fmt.Errorf("agent (build it with `make build/paddock-agent`): %w", err)
	}
	if m.Crun, err = sha256File(o.Crun); err != nil {
		return m, fmt.Errorf("OCI runtime (build it with `make build/crun`): %w", err)
	}
	root, err := os.MkdirTemp(o.Cache, "root-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(root)
	if err := unpack(ctx, m.Packages, root); err != nil {
		return m, err
	}
	err = assemble(ctx, &m, root, o)
	return m, err
}

// assemble writes the results from the unpacked packages.
func assemble(ctx context.Context, m *Manifest, root string, o Options) error {
	set, err := openModules(root)
	if err != nil {
		return err
	}
	m.Kernel = set.release
	bzImage, err := os.ReadFile(filepath.Join(root, "boot", "vmlinuz-"+set.release))
	if err != nil {
		return err
	}
	vmlinux, err := ExtractVmlinux(bzImage)
	if err != nil {
		return fmt.Errorf("kernel %s: %w", set.release, err)
	}
	var initrd bytes.Buffer
	if err := writeInitrd(&initrd, root, o); err != nil {
		return err
	}
	scratch, err := makeScratch(ctx)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{KernelFile: bzImage, ELFKernelFile: vmlinux, InitrdFile: initrd.Bytes(), ScratchFile: scratch} {
		path := filepath.Join(o.Out, name)
		if err := replaceFile(path, data); err != nil {
			return err
		}
		sum, err := sha256File(path)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, File{name, int64(len(data)), sum})
	}
	sort.Slice(m.Files, func(i, j int) bool { return m.Files[i].Name < m.Files[j].Name })
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(o.Out, ManifestFile), append(text, '\n'))
}

// replaceFile writes a file so that readers see the old content or the new.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Chmod(0o644); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
