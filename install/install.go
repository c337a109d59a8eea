package install

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed units
var units embed.FS

const (
	libDir     = "usr/local/lib/paddock"
	stampFile  = libDir + "/installed"
	binLink    = "usr/local/bin/paddock"
	unitDir    = "etc/systemd/system"
	wantsDir   = unitDir + "/multi-user.target.wants"
	configFile = "etc/paddock/config.yaml"
)

// Source is what is installed.
type Source struct {
	// Program is the path of the executable, GuestDir the folder of the guest image.
	Program, GuestDir string
	// Config is the configuration for a node that has none.
	Config []byte
}

// file is one to be there, by its path below the node's root.
type file struct {
	path    string
	mode    fs.FileMode
	content []byte
}

// link is a symbolic link to be there.
type link struct{ path, target string }

// Install makes the node at root have what the source has, and returns the
// paths that it changed. Files are replaced whole, never written over: the ones
// in use may be mapped by running processes.
func Install(root string, s Source) ([]string, error) {
	files, links, err := s.plan()
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, f := range files {
		did, err := replaceFile(root, f)
		if err != nil {
			return changed, fmt.Errorf("install %s: %w", f.path, err)
		}
		if did {
			changed = append(changed, f.path)
		}
	}
	if _, err := os.Stat(filepath.Join(root, configFile)); errors.Is(err, fs.ErrNotExist) {
		if _, err := replaceFile(root, file{configFile, 0o644, s.Config}); err != nil {
			return changed, fmt.Errorf("install %s: %w", configFile, err)
		}
		changed = append(changed, configFile)
	}
	for _, l := range links {
		did, err := replaceLink(root, l)
		if err != nil {
			return changed, fmt.Errorf("install %s: %w", l.path, err)
		}
		if did {
			changed = append(changed, l.path)
		}
	}
	did, err := replaceFile(root, stamp(files))
	if did {
		changed = append(changed, stampFile)
	}
	return changed, err
}

// Check returns an error that names what on the node is not what the source has.
func Check(root string, s Source) error {
	files, links, err := s.plan()
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range append(files, stamp(files)) {
		if same, err := isFile(root, f); err != nil || !same {
			errs = append(errs, errors.Join(fmt.Errorf("/%s is not the one to be installed", f.path), err))
		}
	}
	for _, l := range links {
		if target, err := os.Readlink(filepath.Join(root, l.path)); err != nil || target != l.target {
			errs = append(errs, fmt.Errorf("/%s does not lead to %s", l.path, l.target))
		}
	}
	if _, err := os.Stat(filepath.Join(root, configFile)); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// plan lists what is to be there, but for the configuration.
func (s Source) plan() ([]file, []link, error) {
	program, err := os.ReadFile(s.Program)
	if err != nil {
		return nil, nil, err
	}
	files := []file{{libDir + "/paddock", 0o755, program}}
	guest, err := os.ReadDir(s.GuestDir)
	if err != nil {
		return nil, nil, fmt.Errorf("guest image: %w", err)
	}
	for _, e := range guest {
		if !e.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(s.GuestDir, e.Name()))
		if err != nil {
			return nil, nil, err
		}
		files = append(files, file{libDir + "/guest/" + e.Name(), 0o644, content})
	}
	links := []link{{binLink, "../lib/paddock/paddock"}}
	list, err := units.ReadDir("units")
	if err != nil {
		return nil, nil, err
	}
	for _, e := range list {
		content, err := units.ReadFile("units/" + e.Name())
		if err != nil {
			return nil, nil, err
		}
		files = append(files, file{unitDir + "/" + e.Name(), 0o644, content})
		if bytes.Contains(content, []byte("WantedBy=multi-user.target")) { // what `systemctl enable` would do
			links = append(links, link{wantsDir + "/" + e.Name(), "../" + e.Name()})
		}
	}
	return files, links, nil
}

// stamp is the file that is written last, and changes when any other does.
func stamp(files []file) file {
	var b strings.Builder
	for _, f := range files {
		sum := sha256.Sum256(f.content)
		fmt.Fprintf(&b, "%s  /%s\n", hex.EncodeToString(sum[:]), f.path)
	}
	return file{stampFile, 0o644, []byte(b.String())}
}

func isFile(root string, f file) (bool, error) {
	name := filepath.Join(root, f.path)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(f.content)) {
		return false, err
	}
	content, err := os.ReadFile(name)
	return bytes.Equal(content, f.content), err
}

func replaceFile(root string, f file) (changed bool, err error) {
	if same, err := isFile(root, f); same || err != nil {
		return false, err
	}
	name := filepath.Join(root, f.path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return false, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+path.Base(f.path)+"-")
	if err != nil {
		return false, err
	}
	_, err = tmp.Write(f.content)
	err = errors.Join(err, tmp.Chmod(f.mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return false, errors.Join(err, os.Remove(tmp.Name()))
	}
	return true, nil
}

func replaceLink(root string, l link) (changed bool, err error) {
	name := filepath.Join(root, l.path)
	if target, err := os.Readlink(name); err == nil && target == l.target {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return false, err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, os.Symlink(l.target, name)
}

// Restarts tells whether changes are such that the node's systemd starts Paddock anew.
func Restarts(changed []string) bool { return slices.Contains(changed, stampFile) }
