package image

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/paddock-run/paddock/guest/image/initramfs"
)

// writeInitrd assembles the archive from the unpacked package in root and the
// two programs, and writes it compressed.
func writeInitrd(w io.Writer, root string, o Options) error {
	a := initramfs.New()
	addSkeleton(a)
	if err := addFile(a, "/init", 0o755, o.Agent); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	a.Symlink("/usr/sbin/modprobe", "/init")
	if err := addFile(a, "/usr/bin/crun", 0o755, o.Crun); err != nil {
		return fmt.Errorf("OCI runtime: %w", err)
	}
	if err := addModules(a, root); err != nil {
		return err
	}
	return compress(w, a)
}

// addSkeleton adds mount points and the nodes needed before /dev is mounted.
func addSkeleton(a *initramfs.Archive) {
	for _, d := range []string{"dev", "proc", "sys", "run", "etc", "usr/bin", "usr/sbin", "usr/lib", "var/lib", "mnt"} {
		a.Dir(d, 0o755)
	}
	a.Dir("root", 0o700)
	a.Dir("tmp", 0o1777)
	for _, l := range []string{"bin", "sbin", "lib"} {
		a.Symlink(l, "usr/"+l)
	}
	a.Symlink("var/run", "/run")
	a.Char("dev/console", 0o600, 5, 1)
	a.Char("dev/null", 0o666, 1, 3)
	a.Char("dev/kmsg", 0o600, 1, 11)
	a.File("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/sbin/nologin\n"))
	a.File("etc/group", 0o644, []byte("root:x:0:\n"))
}

// addModules adds the kernel's modules and the lists by which the agent loads them.
func addModules(a *initramfs.Archive, root string) error {
	set, err := openModules(root)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	var all []module
	for _, group := range []struct {
		list  string // file that names the group; "" for none
		names []string
	}{
		{"etc/paddock/modules", bootModules},
		{"etc/paddock/modules.hyperv", hypervModules},
		{"", availableModules},
	} {
		mods, err := set.resolve(group.names, map[string]bool{}) // each list is complete by itself
		if err != nil {
			return err
		}
		for _, m := range mods {
			if !have[m.name] {
				have[m.name] = true
				all = append(all, m)
			}
		}
		if group.list != "" {
			a.File(group.list, 0o644, loadOrder(set, mods))
		}
	}
	for _, m := range all {
		if err := addFile(a, set.guestPath(m.path), 0o644, filepath.Join(set.dir, m.path)); err != nil {
			return err
		}
	}
	dep, alias, err := onDemandLists(set, all)
	if err != nil {
		return err
	}
	a.File("etc/paddock/modules.dep", 0o644, dep)
	a.File("etc/paddock/modules.alias", 0o644, alias)
	return nil
}

// guestPath is a module's absolute path in the guest. /lib is a link to
// usr/lib there, so the file itself lies in the latter.
func (s *moduleSet) guestPath(rel string) string {
	return path.Join("/usr/lib/modules", s.release, rel)
}

func loadOrder(s *moduleSet, mods []module) []byte {
	var b bytes.Buffer
	for _, m := range mods {
		fmt.Fprintln(&b, s.guestPath(m.path))
	}
	return b.Bytes()
}

// onDemandLists makes modules.dep and modules.alias for the modules included.
func onDemandLists(s *moduleSet, mods []module) (dep, alias []byte, err error) {
	var deps, aliases []string
	for _, m := range mods {
		chain, err := s.resolve([]string{m.name}, map[string]bool{})
		if err != nil {
			return nil, nil, err
		}
		line := s.guestPath(m.path) + ":"
		for _, d := range chain[:len(chain)-1] {
			line += " " + s.guestPath(d.path)
		}
		deps = append(deps, line)
		for _, pattern := range append(m.aliases, m.name) {
			if !strings.ContainsAny(pattern, " \t") {
				aliases = append(aliases, strings.ReplaceAll(pattern, "-", "_")+" "+s.guestPath(m.path))
			}
		}
	}
	return sortedLines(deps), sortedLines(aliases), nil
}

func addFile(a *initramfs.Archive, name string, perm uint32, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.File(name, perm, b)
	return nil
}

// compress writes the archive as one zstd frame, made on one goroutine: with
// several, block borders would depend on scheduling.
func compress(w io.Writer, a *initramfs.Archive) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(z, 1<<20)
	if err := a.Write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return z.Close()
}
