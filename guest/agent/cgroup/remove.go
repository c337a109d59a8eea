//go:build linux

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kill sends SIGKILL to every process of the group and those below it. A group
// that does not exist has none.
func Kill(dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// KillAll returns when no process of the group and those below it is left.
func KillAll(ctx context.Context, dir string) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if err := Kill(dir); err != nil {
			return fmt.Errorf("kill the processes of cgroup %s: %w", dir, err)
		}
		pids, err := Processes(dir)
		if err != nil || len(pids) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cgroup %s: %d processes do not end: %w", dir, len(pids), ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Processes lists the PIDs of the group and those below it.
func Processes(dir string) ([]int, error) {
	var pids []int
	for _, group := range groups(dir) {
		raw, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, field := range strings.Fields(string(raw)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// Remove kills what is in the group and removes it with all groups below it.
func Remove(ctx context.Context, dir string) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if err := Kill(dir); err != nil {
			return fmt.Errorf("kill the processes of cgroup %s: %w", dir, err)
		}
		all := groups(dir)
		slices.Reverse(all) // children before parents
		var failed error
		for _, group := range all {
			if err := unix.Rmdir(group); err != nil && err != unix.ENOENT {
				failed = err
			}
		}
		if failed == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroup %s: %w (%w)", dir, failed, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// groups lists the group's directory and those below it, parents first.
func groups(dir string) []string {
	var out []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			out = append(out, path)
		}
		return nil
	})
	return out
}
