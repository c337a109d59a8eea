package logfile

import (
	"os"
	"path/filepath"
)

// searchDir returns the first regular file of dir that matches, or "".
func searchDir(dir string, match func(path string, info os.FileInfo) bool) (string, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if path := filepath.Join(dir, e.Name()); match(path, info) {
			return path, nil
		}
	}
	return "", nil
}
