// Package images makes the images that tests, samples and benchmarks run, from
// Debian's busybox and programs of this module.
package images

import (
	"archive/tar"
	"bytes"
	"io"
	"sort"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Tree is the content of a layer, by path without a leading slash.
type Tree map[string]Entry

// Entry is one file. Type is a tar type; 0 means a regular file.
type Entry struct {
	Type    byte
	Mode    int64
	UID     int
	GID     int
	Link    string
	Content []byte
}

// Dir is an empty folder.
func Dir(mode int64) Entry { return Entry{Type: tar.TypeDir, Mode: mode} }

// File is a regular file of root's.
func File(mode int64, content string) Entry { return Entry{Mode: mode, Content: []byte(content)} }

// Symlink is a symbolic link.
func Symlink(target string) Entry { return Entry{Type: tar.TypeSymlink, Mode: 0o777, Link: target} }

// HardLink is another name of a file that sorts before it, or stands in a lower layer.
func HardLink(target string) Entry { return Entry{Type: tar.TypeLink, Link: target} }

// epoch makes layers the same bytes each time.
var epoch = time.Unix(1700000000, 0)

func (t Tree) tar() ([]byte, error) {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	// Links come after what they may name.
	sort.Slice(names, func(i, j int) bool {
		li, lj := t[names[i]].Type == tar.TypeLink, t[names[j]].Type == tar.TypeLink
		if li != lj {
			return lj
		}
		return names[i] < names[j]
	})
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range names {
		e := t[name]
		if e.Type == 0 {
			e.Type = tar.TypeReg
		}
		if e.Type == tar.TypeDir {
			name += "/"
		}
		if target, ok := t[e.Link]; ok && e.Type == tar.TypeLink {
			e.Mode, e.UID, e.GID = target.Mode, target.UID, target.GID // some unpackers apply a link's own
		}
		hdr := &tar.Header{Typeflag: e.Type, Name: name, Mode: e.Mode, Uid: e.UID, Gid: e.GID,
			Linkname: e.Link, Size: int64(len(e.Content)), ModTime: epoch, Format: tar.FormatPAX}
		if err := w.WriteHeader(hdr); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.Content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Layer packs a tree, gzip-compressed.
func (t Tree) Layer() (v1.Layer, error) {
	data, err := t.tar()
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
}
