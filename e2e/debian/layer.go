package debian

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Layer says what a layer is made of.
type Layer struct {
	// Packages come with what they depend on; Alone without.
	Packages, Alone []string
	// Below are layers under this one, whose packages it does not repeat.
	Below []*Layer
	// Omit are packages of the closure that are not needed at run time,
	// Without folders and files to leave out, such as "usr/share/perl".
	Omit, Without []string
}

// neverNeeded serve installation and administration, in every layer.
var neverNeeded = []string{
	"adduser", "ca-certificates", "cron", "cron-daemon-common", "debconf", "dpkg", "fontconfig-config", "fonts-dejavu-core",
	"init-system-helpers", "libc-l10n", "libfile-find-rule-perl", "libgdbm-compat4", "libgdbm6", "libllvm14",
	"libnumber-compare-perl", "libpam-modules", "libpam-modules-bin", "libpam-runtime", "libperl5.36", "libtext-glob-perl", "libz3-4",
	"locales", "logrotate", "lsb-base", "media-types", "openssl", "passwd", "perl", "perl-base", "perl-modules-5.36",
	"sensible-utils", "ssl-cert", "sysvinit-utils", "tar", "ucf", "usrmerge",
	"libpython3-stdlib", "libpython3.11-minimal", "libpython3.11-stdlib", "python3", "python3-minimal", "python3.11", "python3.11-minimal",
}

// neverRead are the parts of packages that no program reads.
var neverRead = []string{
	"usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bug",
	"usr/share/doc-base", "usr/share/bash-completion", "usr/share/i18n", "lib/systemd", "usr/lib/systemd", "etc/init.d", "etc/cron.daily",
}

// names lists a layer's packages.
func (a *Archive) names(ctx context.Context, l *Layer) ([]string, error) {
	names, err := a.Closure(ctx, l.Packages...)
	if err != nil {
		return nil, err
	}
	var have []string
	for _, b := range l.Below {
		below, err := a.names(ctx, b)
		if err != nil {
			return nil, err
		}
		have = append(have, below...)
	}
	names = slices.DeleteFunc(append(names, l.Alone...), func(n string) bool {
		return slices.Contains(have, n) || slices.Contains(neverNeeded, n) || slices.Contains(l.Omit, n)
	})
	slices.Sort(names)
	return slices.Compact(names), nil
}

// key names a layer by what it is made of, and this code's version.
func (l *Layer) key() string {
	const version = 1 // of how layers are made
	text, err := json.Marshal([]any{l, neverNeeded, neverRead, version})
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Make makes a layer in dir, or finds it there: what an earlier run made is
// used again, whatever Debian has updated since.
func (l *Layer) Make(ctx context.Context, a *Archive, dir string) (v1.Layer, error) {
	file := filepath.Join(dir, l.key()+".tar")
	if made, err := openTarLayer(file); err == nil {
		return made, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	names, err := a.names(ctx, l)
	if err != nil {
		return nil, err
	}
	debs, err := a.Fetch(ctx, names...)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return writeTarLayer(file, func(w io.Writer) error {
		m := merger{out: tar.NewWriter(w), seen: map[string]bool{}, without: append(slices.Clone(neverRead), l.Without...)}
		if len(l.Below) == 0 {
			if err := m.merged(); err != nil {
				return err
			}
		}
		for _, deb := range debs {
			if err := m.add(ctx, deb); err != nil {
				return fmt.Errorf("%s: %w", deb, err)
			}
		}
		return m.out.Close()
	})
}

// merger puts the files of packages into one tar.
type merger struct {
	out     *tar.Writer
	seen    map[string]bool
	without []string
}

// top are the folders that are links into usr.
var top = []string{"bin", "lib", "lib64", "sbin"}

// merged writes the links of a merged usr.
func (m *merger) merged() error {
	for _, dir := range append([]string{"usr"}, prefixed("usr/", top)...) {
		if err := m.out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return err
		}
		m.seen[dir] = true
	}
	for _, dir := range top {
		if err := m.out.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: dir, Linkname: "usr/" + dir, Mode: 0o777}); err != nil {
			return err
		}
	}
	return nil
}

func prefixed(prefix string, names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

// inUsr is where a path of a package lies when usr is merged.
func inUsr(name string) string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if first, _, _ := strings.Cut(name, "/"); slices.Contains(top, first) {
		return "usr/" + name
	}
	return name
}

func (m *merger) leaveOut(name string) bool {
	for _, w := range m.without {
		if w = inUsr(w); name == w || strings.HasPrefix(name, w+"/") {
			return true
		}
	}
	return false
}

// add copies one package's files.
func (m *merger) add(ctx context.Context, deb string) (err error) {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_, _ = io.Copy(io.Discard, pipe)
		err = errors.Join(err, cmd.Wait())
	}()
	for r := tar.NewReader(pipe); ; {
		hdr, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := inUsr(hdr.Name)
		if name == "" || m.seen[name] || m.leaveOut(name) {
			continue
		}
		m.seen[name] = true
		if hdr.Name = name; hdr.Typeflag == tar.TypeDir {
			hdr.Name += "/"
		}
		if hdr.Typeflag == tar.TypeLink {
			hdr.Linkname = inUsr(hdr.Linkname)
		}
		hdr.Format = tar.FormatPAX
		if err := m.out.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := io.Copy(m.out, r); err != nil {
			return err
		}
	}
}
