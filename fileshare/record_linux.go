package fileshare

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// record names a process beyond the reuse of its pid.
type record struct {
	PID       int    `json:"pid"`
	StartTime string `json:"startTime"` // clock ticks after boot, as in /proc/PID/stat
	BootID    string `json:"bootID"`
}

func recordOf(pid int) (record, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return record{}, err
	}
	// The command name is in parentheses and may hold anything; fields go on after the last.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return record{}, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return record{}, err
	}
	return record{PID: pid, StartTime: fields[19], BootID: strings.TrimSpace(string(boot))}, nil
}

func recordPath(dir string) string { return filepath.Join(dir, "process.json") }

func writeRecord(dir string, pid int) error {
	r, err := recordOf(pid)
	if err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replaceFile(recordPath(dir), data)
}

// openRecorded opens a pidfd of the process recorded in dir; vm.ErrNotFound if it has ended.
func openRecorded(dir string) (int, error) {
	data, err := os.ReadFile(recordPath(dir))
	if err != nil {
		return -1, fmt.Errorf("%w: %w", vm.ErrNotFound, err)
	}
	var want record
	if err := json.Unmarshal(data, &want); err != nil || want.PID <= 1 {
		return -1, fmt.Errorf("%w: unreadable record %s", vm.ErrNotFound, recordPath(dir))
	}
	pidfd, err := unix.PidfdOpen(want.PID, 0)
	if err != nil {
		return -1, fmt.Errorf("%w: process %d: %w", vm.ErrNotFound, want.PID, err)
	}
	// Asked after the pidfd is open: what it refers to then has this start time.
	if now, err := recordOf(want.PID); err != nil || now != want || hasExited(pidfd) {
		unix.Close(pidfd)
		return -1, fmt.Errorf("%w: process %d has ended", vm.ErrNotFound, want.PID)
	}
	return pidfd, nil
}

func hasExited(pidfd int) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}
