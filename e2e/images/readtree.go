package images

import (
	"io/fs"
	"os"
	"path/filepath"
)

// ReadTree is the files and folders below dir.
func ReadTree(dir string) (Tree, error) {
	t := Tree{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			t[name] = Dir(int64(info.Mode().Perm()))
			return nil
		}
		content, err := os.ReadFile(path)
		t[name] = File(int64(info.Mode().Perm()), string(content))
		return err
	})
	return t, err
}
