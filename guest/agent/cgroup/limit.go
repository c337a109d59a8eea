//go:build linux

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// ErrInUse: a group uses more memory than it is to have.
var ErrInUse = errors.New("memory is in use")

// defaultPeriod is the kernel's, in microseconds.
const defaultPeriod = 100000

// Reclaim has the kernel take back what a group uses above limit, in bytes. ErrInUse if it cannot.
func Reclaim(dir string, limit uint64) error {
	used := number(dir, "memory.current")
	if used <= limit {
		return nil
	}
	// The kernel tries for half a minute to take back what it cannot, so it is asked for what it can only.
	if s := table(dir, "memory.stat"); used-min(used, s["active_file"]+s["inactive_file"]+s["slab_reclaimable"]) <= limit {
		// It fails when it got less; what is left then tells.
		_ = os.WriteFile(filepath.Join(dir, "memory.reclaim"), strconv.AppendUint(nil, used-limit, 10), 0)
		used = number(dir, "memory.current")
	}
	if used > limit {
		return fmt.Errorf("a limit of %d bytes is below the %d bytes that are used: %w", limit, used, ErrInUse)
	}
	return nil
}

// Unthrottle takes a group's processor quota away; its period stays.
func Unthrottle(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cpu.max"), []byte("max"), 0)
}

// Limit sets a group's processor quota and memory limit; what is not set, or not above 0, is no limit.
func Limit(dir string, r *specs.LinuxResources) error {
	quota, memory := "max", "max"
	period := uint64(defaultPeriod)
	if c := r.CPU; c != nil {
		if c.Period != nil && *c.Period > 0 {
			period = *c.Period
		}
		if c.Quota != nil && *c.Quota > 0 {
			quota = strconv.FormatInt(*c.Quota, 10)
		}
	}
	if m := r.Memory; m != nil && m.Limit != nil && *m.Limit > 0 {
		memory = strconv.FormatInt(*m.Limit, 10)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cpu.max"), fmt.Appendf(nil, "%s %d", quota, period), 0),
		os.WriteFile(filepath.Join(dir, "memory.max"), []byte(memory), 0),
	)
}
