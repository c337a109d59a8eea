// Package initramfs writes archives that Linux unpacks as its first root file
// system: cpio, in the form newc (buffer-format.rst of the kernel's documentation).
package initramfs

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"
)

// File type bits of a mode, as in stat(2).
const (
	modeDir  = 0o040000
	modeChar = 0o020000
	modeFile = 0o100000
	modeLink = 0o120000
)

// entry is one file of the archive.
type entry struct {
	mode         uint32 // type and permission bits
	data         []byte // content, or a link's target
	major, minor uint32 // of a device
}

// Archive collects files by path, the last of each path, and is written with
// bytes that depend on nothing but the files.
type Archive struct {
	entries map[string]entry
}

// New is an empty archive.
func New() *Archive { return &Archive{entries: map[string]entry{}} }

// Dir adds a directory; its parents are added when the archive is written.
func (a *Archive) Dir(name string, perm uint32) { a.entries[clean(name)] = entry{mode: modeDir | perm} }

// File adds a regular file.
func (a *Archive) File(name string, perm uint32, data []byte) {
	a.entries[clean(name)] = entry{mode: modeFile | perm, data: data}
}

// Symlink adds a symbolic link.
func (a *Archive) Symlink(name, target string) {
	a.entries[clean(name)] = entry{mode: modeLink | 0o777, data: []byte(target)}
}

// Char adds a character device.
func (a *Archive) Char(name string, perm, major, minor uint32) {
	a.entries[clean(name)] = entry{mode: modeChar | perm, major: major, minor: minor}
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// Write writes the archive: entries sorted by path, so that a directory
// precedes what is in it.
func (a *Archive) Write(w io.Writer) error {
	a.addParents()
	names := make([]string, 0, len(a.entries))
	for name := range a.entries {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		if err := writeEntry(w, uint32(i+1), name, a.entries[name]); err != nil {
			return fmt.Errorf("write %s to the archive: %w", name, err)
		}
	}
	return writeEntry(w, 0, "TRAILER!!!", entry{})
}

func (a *Archive) addParents() {
	names := make([]string, 0, len(a.entries))
	for name := range a.entries {
		names = append(names, name)
	}
	for _, name := range names {
		for d := path.Dir(name); d != "."; d = path.Dir(d) {
			if _, ok := a.entries[d]; !ok {
				a.entries[d] = entry{mode: modeDir | 0o755}
			}
		}
	}
}

// writeEntry writes one record: a header of hexadecimal fields, the name, and
// the content, each padded to 4 bytes.
func writeEntry(w io.Writer, inode uint32, name string, e entry) error {
	links := uint32(1)
	if e.mode&modeDir != 0 && e.mode&modeFile == 0 {
		links = 2
	}
	var b bytes.Buffer
	b.WriteString("070701")
	for _, field := range []uint32{
		inode, e.mode, 0, 0, links, 0, uint32(len(e.data)),
		0, 0, e.major, e.minor, uint32(len(name) + 1), 0,
	} {
		fmt.Fprintf(&b, "%08X", field)
	}
	b.WriteString(name)
	b.WriteByte(0)
	pad(&b)
	b.Write(e.data)
	pad(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
