//go:build !windows

package config

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"
)

// Default is the default configuration, with comments.
//
//go:embed default.yaml
var Default []byte

// installedGuestDir is where packages put the guest image.
const installedGuestDir = "/usr/lib/paddock/guest"

// expandPath: paths of this host have no variables.
func expandPath(*string) error { return nil }

// Endpoint is Socket without its scheme: a Unix socket's path.
func (c *Config) Endpoint() (string, error) {
	path := strings.TrimPrefix(c.Socket, "unix://")
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q is not unix:// and an absolute path", c.Socket)
	}
	return path, nil
}
