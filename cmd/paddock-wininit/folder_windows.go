package main

import (
	"io/fs"
	"os"
	"path/filepath"
)

// folder is a process's folder, by its path.
type folder string

func (f folder) ReadFile(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(f), name))
}

func (f folder) WriteFile(name string, content []byte, mode fs.FileMode) error {
	return os.WriteFile(filepath.Join(string(f), name), content, mode)
}

func (f folder) Rename(from, to string) error {
	return os.Rename(filepath.Join(string(f), from), filepath.Join(string(f), to))
}
