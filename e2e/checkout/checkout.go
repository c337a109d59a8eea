// Package checkout finds the source tree that tests and tools run in, and what
// was built in it.
package checkout

import (
	"fmt"
	"os"
	"path/filepath"
)

// Root is the folder of the main module, found upwards from the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "e2e", "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no source tree of Paddock at or above %s", dir)
		}
	}
}

// Built is the path of something that `make` builds, below build. An error
// says which target makes it.
func Built(name, target string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "build", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run `make %s` first", err, target)
	}
	return path, nil
}
