package imageservice

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"time"
)

// errNeedsPlan: the layer has entries that replace others.
var errNeedsPlan = errors.New("layer replaces its own entries")

// rewriteTar copies a layer's tar such that each entry can be written to a disk
// as it comes: plain paths, one entry for each, checked attributes. Without a
// plan it fails with errNeedsPlan on a layer that needs one.
func rewriteTar(s *tarScanner, w io.Writer, plan *tarPlan) error {
	out := tar.NewWriter(w)
	seen := newConflicts()
	for i := 0; ; i++ {
		e, err := s.next()
		if err == io.EOF {
			return out.Close()
		}
		if err != nil {
			return err
		}
		if plan == nil && seen.add(e) {
			return errNeedsPlan
		}
		if plan != nil {
			if i >= len(plan.skip) {
				return fmt.Errorf("the blob changed while it was read")
			}
			if plan.skip[i] {
				continue
			}
			if plan.opaque[i] {
				e.kind = entryOpaque
			}
		}
		if err := writeEntry(out, s.tar, e); err != nil {
			return err
		}
	}
}

func writeEntry(out *tar.Writer, data io.Reader, e entry) error {
	hdr, err := plainHeader(e)
	if err != nil {
		return err
	}
	if err := out.WriteHeader(hdr); err != nil {
		return fmt.Errorf("%q: %w", e.hdr.Name, err)
	}
	if hdr.Size == 0 {
		return nil
	}
	if _, err := io.Copy(out, data); err != nil {
		return tarError(err)
	}
	return nil
}

// plainHeader is the header that the disk writer gets for an entry.
func plainHeader(e entry) (*tar.Header, error) {
	switch e.kind {
	case entryWhiteout:
		dir, base := path.Split(e.path)
		return &tar.Header{Typeflag: tar.TypeReg, Name: dir + whiteoutPrefix + base, Format: tar.FormatPAX}, nil
	case entryOpaque:
		return &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(e.path, whiteoutOpaque), Format: tar.FormatPAX}, nil
	case entryLink:
		return &tar.Header{Typeflag: tar.TypeLink, Name: e.path, Linkname: e.target, Format: tar.FormatPAX}, nil
	}
	in := e.hdr
	hdr := &tar.Header{
		Typeflag: in.Typeflag, Name: e.path, Mode: in.Mode & 0o7777,
		Uid: in.Uid, Gid: in.Gid, Format: tar.FormatPAX,
		ModTime: in.ModTime, AccessTime: latest(in.AccessTime, in.ModTime), ChangeTime: latest(in.ChangeTime, in.ModTime),
	}
	switch in.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		hdr.Typeflag, hdr.Size = tar.TypeReg, in.Size
	case tar.TypeSymlink:
		hdr.Linkname = in.Linkname
	case tar.TypeChar, tar.TypeBlock:
		hdr.Devmajor, hdr.Devminor = in.Devmajor, in.Devminor
	case tar.TypeDir:
		hdr.Name = e.path + "/"
		if e.path == "" {
			hdr.Name = "./"
		}
	}
	var err error
	hdr.PAXRecords, err = xattrRecords(in)
	return hdr, err
}

// latest is the later time, as containerd sets the access time of what it unpacks.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
