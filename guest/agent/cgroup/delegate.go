//go:build linux

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// delegates lists the files of a group that may be given away with it, as cgroups(7) says.
const delegates = "/sys/kernel/cgroup/delegate"

// Delegate gives a group to a user, who can then make groups below it.
func Delegate(dir string, owner int) error {
	raw, err := os.ReadFile(delegates)
	if err != nil {
		return fmt.Errorf("delegate %s: %w", dir, err)
	}
	for _, name := range append([]string{"."}, strings.Fields(string(raw))...) {
		err := os.Chown(filepath.Join(dir, name), owner, owner)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // of a controller that is not enabled
			return fmt.Errorf("delegate %s: %w", dir, err)
		}
	}
	return nil
}
