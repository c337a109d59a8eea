package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// process is a QEMU that may be somebody else's child, held by a pidfd: its pid
// cannot come to mean another process meanwhile.
type process struct {
	pid   int
	pidfd *os.File
}

// errGone: the process has ended.
var errGone = errors.New("no such process")

// openProcess holds the process with that pid, if it started then.
func openProcess(pid int, started uint64) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, errors.Join(errGone, err))
	}
	p := &process{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd")}
	now, err := startTime(pid)
	if err != nil || now != started {
		p.pidfd.Close()
		return nil, fmt.Errorf("process %d: %w", pid, errGone)
	}
	return p, nil
}

func (p *process) kill() error {
	err := unix.PidfdSendSignal(int(p.pidfd.Fd()), unix.SIGKILL, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// wait returns true when the process has ended, false when stop became readable.
func (p *process) wait(stop *os.File) bool {
	fds := []unix.PollFd{
		{Fd: int32(p.pidfd.Fd()), Events: unix.POLLIN},
		{Fd: int32(stop.Fd()), Events: unix.POLLIN},
	}
	for {
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
		if fds[0].Revents != 0 {
			waitReaped(p.pid)
			return true
		}
		if fds[1].Revents != 0 {
			return false
		}
	}
}

// reaped holds the QEMUs that are this process's children: each channel is
// closed when the child has been waited for.
var reaped sync.Map // pid int -> chan struct{}

func waitReaped(pid int) {
	if done, ok := reaped.Load(pid); ok {
		<-done.(chan struct{})
	}
}

// startTime is when a process started, in clock ticks after the host's boot.
func startTime(pid int) (uint64, error) {
	fields, err := statFields(pid)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// statFields are the fields of /proc/<pid>/stat from the third (state) on.
func statFields(pid int) ([][]byte, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return nil, fmt.Errorf("/proc/%d/stat: no command name", pid)
	}
	fields := bytes.Fields(data[end+1:])
	if len(fields) < 22 {
		return nil, fmt.Errorf("/proc/%d/stat: only %d fields", pid, len(fields))
	}
	return fields, nil
}

// findProcess looks for the QEMU with that name among its arguments: one that
// was started just before the daemon died, before its pid was noted.
func findProcess(name string) (pid int, started uint64, found bool) {
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, 0, false
	}
	for _, file := range entries {
		line, err := os.ReadFile(file)
		if err != nil || !hasArgument(line, "-name", name) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if started, err := startTime(pid); err == nil {
			return pid, started, true
		}
	}
	return 0, 0, false
}

func hasArgument(cmdline []byte, option, value string) bool {
	return bytes.Contains(cmdline, []byte("\x00"+option+"\x00"+value+"\x00"))
}
