package imageservice

import (
	"archive/tar"
	"errors"
	"io"
	"path"
	"strings"
)

// Names with a meaning in layer tars (OCI image specification, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// Bounds of a layer. The file size is what tar2ext4's extent trees can hold.
const (
	maxEntries    = 4 << 20
	maxFileBytes  = 42 << 30
	maxPathLength = 4096
	maxNameLength = 255
	maxSymlinks   = 40
)

// entryKind is what an entry does to the tree.
type entryKind uint8

const (
	entryFile entryKind = iota // anything that is no directory
	entryDir
	entryLink
	entryWhiteout
	entryOpaque
)

// entry is one tar entry, with its path made plain: no leading slash, no dots,
// no symbolic link of the same layer on the way to it.
type entry struct {
	kind entryKind
	// path is what it is about: for whiteouts what they hide, "" for the root.
	path string
	// target is what a hard link is of.
	target string
	hdr    *tar.Header
}

// tarScanner reads the entries of a layer and refuses what escapes it.
type tarScanner struct {
	tar      *tar.Reader
	layout   *windowsLayout // nil: paths are as in the image
	symlinks map[string]string
	entries  int
}

func newTarScanner(r io.Reader) *tarScanner {
	return &tarScanner{tar: tar.NewReader(r), symlinks: map[string]string{}}
}

// next returns the next entry that matters, io.EOF at the end.
func (s *tarScanner) next() (entry, error) {
	for {
		hdr, err := s.tar.Next()
		if err == io.EOF {
			return entry{}, err
		}
		if err != nil {
			return entry{}, tarError(err)
		}
		if s.entries++; s.entries > maxEntries {
			return entry{}, corrupt("it has more than %d entries", maxEntries)
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if s.layout != nil {
			skip, err := s.layout.adapt(hdr)
			if err != nil {
				return entry{}, err
			}
			if skip {
				continue
			}
		}
		e, skip, err := s.read(hdr)
		if err != nil {
			return entry{}, err
		}
		if !skip {
			return e, nil
		}
	}
}

func tarError(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || err == io.ErrUnexpectedEOF {
		return corrupt("its tar is damaged: %w", err)
	}
	return err
}

func (s *tarScanner) read(hdr *tar.Header) (e entry, skip bool, err error) {
	name, err := s.plain(hdr.Name)
	if err != nil {
		return entry{}, false, err
	}
	if dir, base := path.Split(name); strings.HasPrefix(base, whiteoutPrefix) {
		return readWhiteout(strings.TrimSuffix(dir, "/"), base, hdr)
	}
	e = entry{path: name, hdr: hdr}
	switch hdr.Typeflag {
	case tar.TypeDir:
		e.kind = entryDir
	case tar.TypeLink:
		e.kind = entryLink
		e.target, err = s.plain(hdr.Linkname)
	case tar.TypeReg, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo, tar.TypeCont, tar.TypeGNUSparse:
	default:
		return entry{}, false, corrupt("%q: tar entries of type %q cannot be unpacked", hdr.Name, hdr.Typeflag)
	}
	if err == nil {
		err = s.check(e)
	}
	if hdr.Typeflag == tar.TypeSymlink {
		s.symlinks[name] = hdr.Linkname
	} else {
		delete(s.symlinks, name)
	}
	return e, false, err
}

func (s *tarScanner) check(e entry) error {
	if e.path == "" && e.kind != entryDir {
		return corrupt("%q: the root must be a directory", e.hdr.Name)
	}
	if e.hdr.Size > maxFileBytes && e.kind == entryFile {
		return corrupt("%q: %d bytes, files of at most %d can be unpacked", e.hdr.Name, e.hdr.Size, int64(maxFileBytes))
	}
	if e.hdr.Typeflag == tar.TypeSymlink && (e.hdr.Linkname == "" || len(e.hdr.Linkname) >= maxPathLength) {
		return corrupt("%q: symbolic link to %d bytes, must be 1 to %d", e.hdr.Name, len(e.hdr.Linkname), maxPathLength-1)
	}
	return nil
}

func readWhiteout(dir, base string, hdr *tar.Header) (e entry, skip bool, err error) {
	if base == whiteoutOpaque {
		return entry{kind: entryOpaque, path: dir, hdr: hdr}, false, nil
	}
	if strings.HasPrefix(base, whiteoutMeta) {
		return entry{}, true, nil // AUFS's own files
	}
	hidden := strings.TrimPrefix(base, whiteoutPrefix)
	if hidden == "" || hidden == "." || hidden == ".." {
		return entry{}, false, corrupt("%q: a whiteout of no name", hdr.Name)
	}
	return entry{kind: entryWhiteout, path: path.Join(dir, hidden), hdr: hdr}, false, nil
}

// plain makes a name plain. The directories on its way are followed where the
// layer made them symbolic links, as unpacking into a folder would.
func (s *tarScanner) plain(name string) (string, error) {
	if len(name) > maxPathLength || strings.IndexByte(name, 0) >= 0 {
		return "", corrupt("a name of %d bytes: too long, or with a zero byte", len(name))
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", corrupt("%q leads out of the layer", name)
	}
	if clean == "." {
		return "", nil
	}
	dir, base := path.Split(clean)
	if len(base) > maxNameLength {
		return "", corrupt("%q: a name of %d bytes, at most %d can be kept", name, len(base), maxNameLength)
	}
	if dir == "" || len(s.symlinks) == 0 {
		return clean, nil
	}
	dir, err := s.follow(dir)
	return path.Join(dir, base), err
}

// follow resolves symbolic links of the layer in a directory's path; ".." stops at the root.
func (s *tarScanner) follow(dir string) (string, error) {
	done, links := "", 0
	for todo := dir; todo != ""; {
		var first string
		first, todo, _ = strings.Cut(todo, "/")
		switch first {
		case "", ".":
			continue
		case "..":
			done = strings.TrimPrefix(path.Dir("/"+done), "/")
			continue
		}
		next := path.Join(done, first)
		target, ok := s.symlinks[next]
		if !ok {
			done = next
			continue
		}
		if links++; links > maxSymlinks || len(target)+len(todo) > 2*maxPathLength {
			return "", corrupt("%q: too many symbolic links", dir)
		}
		if strings.HasPrefix(target, "/") {
			done = ""
		}
		todo = target + "/" + todo
	}
	return done, nil
}
