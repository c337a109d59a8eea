package hcs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// HostPath is where a Windows path of a Wine prefix is on this machine. Names are
// looked up without regard to case, as Windows does; the last one need not exist.
func HostPath(prefix, path string) (string, error) {
	path = strings.TrimPrefix(strings.ReplaceAll(path, `\`, "/"), "//?/")
	if len(path) < 3 || path[1:3] != ":/" {
		return "", fmt.Errorf("%q is not a path with a drive", path)
	}
	drive, err := filepath.EvalSymlinks(filepath.Join(prefix, "dosdevices", strings.ToLower(path[:2])))
	if err != nil {
		return "", err
	}
	at := drive
	for _, name := range strings.Split(path[3:], "/") {
		if name == "" || name == "." || name == ".." {
			return "", fmt.Errorf("%q is not a clean path", path)
		}
		at = filepath.Join(at, realName(at, name))
	}
	return at, nil
}

func realName(dir, name string) string {
	if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
		return name
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.EqualFold(e.Name(), name) {
			return e.Name()
		}
	}
	return name
}
