package sharebench

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"strings"
)

// cpio writes an initial root file system, in the "newc" format that kernels read.
type cpio struct {
	out   io.Writer
	inode uint32
}

// Types of files, as in stat(2).
const typeFile, typeDir, typeLink = 0o100000, 0o040000, 0o120000

// add writes one file, or a link's target as its content.
func (c *cpio) add(name string, mode uint32, content []byte) error {
	c.inode++
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		c.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	for _, part := range [][]byte{append([]byte(header+name), 0), content} {
		if rest := len(part) % 4; rest != 0 {
			part = append(part[:len(part):len(part)], make([]byte, 4-rest)...)
		}
		if _, err := c.out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (c *cpio) close() error { return c.add("TRAILER!!!", 0, nil) }

// addTar copies the files of a tar. A hard link becomes a symbolic one.
func (c *cpio) addTar(in io.Reader) error {
	for r := tar.NewReader(in); ; {
		hdr, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.Trim(path.Clean(hdr.Name), "/")
		perm := uint32(hdr.Mode) & 0o7777
		switch hdr.Typeflag {
		case tar.TypeDir:
			err = c.add(name, typeDir|perm, nil)
		case tar.TypeSymlink:
			err = c.add(name, typeLink|0o777, []byte(hdr.Linkname))
		case tar.TypeLink:
			err = c.add(name, typeLink|0o777, []byte("/"+hdr.Linkname))
		case tar.TypeReg:
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = c.add(name, typeFile|perm, content)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}
