package leakcheck

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mounts lists those at or from a folder of the scope.
func mounts(s Scope) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && (s.owns(fields[4]) || s.owns(fields[3])) {
			found = append(found, fields[4])
		}
	}
	return found, lines.Err()
}

// filesByID lists files below the scope's folders whose path carries the id of
// a sandbox or container.
func filesByID(s Scope) ([]string, error) {
	ids := s.ids()
	var found []string
	for _, dir := range s.Dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if hasID(path, ids) {
				found = append(found, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
