package config

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows/registry"
)

// Default is the default configuration, with comments.
//
//go:embed default_windows.yaml
var Default []byte

// installedGuestDir is where the guest image is if it is not beside the program.
var installedGuestDir = filepath.Join(os.Getenv("ProgramFiles"), "paddock", "guest")

// expandPath replaces %NAME% by the variable's value.
func expandPath(path *string) error {
	out, err := registry.ExpandString(*path)
	if err != nil {
		return fmt.Errorf("expand %q: %w", *path, err)
	}
	if i := strings.IndexByte(out, '%'); i >= 0 && strings.IndexByte(out[i+1:], '%') >= 0 {
		return fmt.Errorf("path %q names a variable that is not set", *path)
	}
	if out != "" {
		out = filepath.Clean(out) // with this host's separators
	}
	*path = out
	return nil
}

// Endpoint is the path of the named pipe that Socket names as kubelet does:
// npipe:////./pipe/name, or \\.\pipe\name.
func (c *Config) Endpoint() (string, error) {
	path := strings.ReplaceAll(strings.TrimPrefix(c.Socket, "npipe://"), "/", `\`)
	name, found := strings.CutPrefix(strings.ToLower(path), `\\.\pipe\`)
	if !found || name == "" || len(path) > 256 {
		return "", fmt.Errorf("%q is not a named pipe, such as npipe:////./pipe/paddock", c.Socket)
	}
	return path, nil
}
