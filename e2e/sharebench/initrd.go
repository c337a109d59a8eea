package sharebench

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// addFile adds a file to an initial root file system; a link's content is its target.
func addFile(w *cpio.Writer, name string, mode cpio.FileMode, content []byte) error {
	if err := w.WriteHeader(&cpio.Header{Name: name, Mode: mode, Links: 1, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// addTar copies the files of a tar. A hard link becomes a symbolic one.
func addTar(w *cpio.Writer, in io.Reader) error {
	for r := tar.NewReader(in); ; {
		hdr, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name, perm := strings.Trim(path.Clean(hdr.Name), "/"), cpio.FileMode(hdr.Mode&0o7777)
		switch hdr.Typeflag {
		case tar.TypeDir:
			err = addFile(w, name, cpio.TypeDir|perm, nil)
		case tar.TypeSymlink:
			err = addFile(w, name, cpio.TypeSymlink|0o777, []byte(hdr.Linkname))
		case tar.TypeLink:
			err = addFile(w, name, cpio.TypeSymlink|0o777, []byte("/"+hdr.Linkname))
		case tar.TypeReg:
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = addFile(w, name, cpio.TypeReg|perm, content)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}
