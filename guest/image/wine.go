package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/guest"
)

// Files that BuildWine leaves in WineOptions.Out.
const (
	// WineDiskFile is the disk that VMs of Windows pods get.
	WineDiskFile = guest.WineDiskFile
	// WineManifestFile says what went into it.
	WineManifestFile = "wine-manifest.json"
)

// wineRelease is the Debian release whose Wine is used: the one before has
// Wine 8, which lacks what Go's programs need.
const wineRelease = "trixie"

// winePackages are Wine and what the parts of it that are taken need. Wine's
// own dependencies, of sound, pictures and printers, are not among them.
var winePackages = []string{"wine64", "libwine", "libc6", "libunwind8", "liblzma5", "libgcc-s1", "libz-mingw-w64"}

// wineFormat changes when the same packages are to give another disk.
const wineFormat = 2

// WineOptions of a build. All paths are on this machine.
type WineOptions struct {
	Out    string    // directory for the results
	Cache  string    // directory for downloads and earlier results
	Init   string    // the program that starts Windows processes: cmd/paddock-wininit
	Mirror string    // base URL of the Debian archives
	Log    io.Writer // progress, for people
}

// WineManifest describes a build.
type WineManifest struct {
	Packages []Package `json:"packages"`
	Init     string    `json:"initSHA256"`
	File     File      `json:"file"`
}

// BuildWine makes the disk with Wine. A disk of the same inputs is taken from the
// cache; else Wine itself is run, in a root of its own, to fill its registry.
func BuildWine(ctx context.Context, o WineOptions) (WineManifest, error) {
	var m WineManifest
	disks := filepath.Join(o.Cache, "wine")
	for _, d := range []string{o.Out, disks} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return m, err
		}
	}
	unlock, err := lock(ctx, filepath.Join(o.Cache, "lock"))
	if err != nil {
		return m, err
	}
	defer unlock()
	a, err := newApt(filepath.Join(o.Cache, "apt-"+wineRelease), o.Mirror, wineRelease, o.Log)
	if err != nil {
		return m, err
	}
	if err := a.update(ctx); err != nil {
		return m, err
	}
	if m.Packages, err = a.get(ctx, append([]string{"download"}, winePackages...)); err != nil {
		return m, err
	}
	if m.Init, err = sha256File(o.Init); err != nil {
		return m, fmt.Errorf("wininit (build it with `make build/paddock-wininit.exe`): %w", err)
	}
	disk := filepath.Join(disks, wineKey(m)+".ext4")
	if _, err := os.Stat(disk); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(o.Log, "guest image: making the Wine disk")
		err := buildWineDisk(ctx, m.Packages, o, disk)
		if err != nil {
			return m, fmt.Errorf("Wine disk: %w", err)
		}
		removeOthers(disks, disk)
	}
	return m, publishWine(&m, disk, o.Out)
}

// wineKey names what a disk is made of.
func wineKey(m WineManifest) string {
	sum := sha256.New()
	fmt.Fprintln(sum, wineFormat, m.Init, wineLibraries, wineUnix, winePrograms, keptKeys)
	for _, p := range m.Packages {
		fmt.Fprintln(sum, p.Name, p.SHA256)
	}
	return hex.EncodeToString(sum.Sum(nil))[:32]
}

// removeOthers keeps the cache to one disk; what cannot be removed only takes space.
func removeOthers(dir, keep string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); path != keep {
			_ = os.RemoveAll(path)
		}
	}
}

// buildWineDisk makes the disk at path.
func buildWineDisk(ctx context.Context, pkgs []Package, o WineOptions, path string) error {
	work, err := os.MkdirTemp(o.Cache, "wine-root-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	root, err := filepath.Abs(work)
	if err != nil {
		return err
	}
	if err := unpack(ctx, pkgs, root); err != nil {
		return err
	}
	if err := prepareWineRoot(root); err != nil {
		return err
	}
	if err := makePrefix(ctx, root); err != nil {
		return err
	}
	tree, err := wineTree(root, o.Init)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = tree.writeDisk(tmp)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// publishWine puts the disk, then its manifest, into out.
func publishWine(m *WineManifest, disk, out string) error {
	st, err := os.Stat(disk)
	if err != nil {
		return err
	}
	sum, err := sha256File(disk)
	if err != nil {
		return err
	}
	m.File = File{WineDiskFile, st.Size(), sum}
	if have, err := sha256File(filepath.Join(out, WineDiskFile)); err != nil || have != sum {
		raw, err := os.ReadFile(disk)
		if err != nil {
			return err
		}
		if err := replaceFile(filepath.Join(out, WineDiskFile), raw); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(out, WineManifestFile), append(text, '\n'))
}
