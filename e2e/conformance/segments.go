package conformance

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// segments are ids of System V shared memory of this machine.
type segments map[int]bool

// segmentSize is of those that the suite makes, in bytes.
const segmentSize = "1048576"

// sharedMemory lists those that nobody has attached and that have the size of the
// suite's. Its HostIpc specs make such segments on the node, where a container of
// a runtime that shares the kernel has to find them, and leave them.
func sharedMemory() (segments, error) {
	table, err := os.ReadFile("/proc/sysvipc/shm") // proc_sysvipc(5): a heading, then key, shmid, perms, size, cpid, lpid, nattch, ...
	if err != nil {
		return nil, err
	}
	all := segments{}
	for _, line := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		fields := strings.Fields(line)
		if len(fields) < 7 {
			return nil, fmt.Errorf("/proc/sysvipc/shm: line %q", line)
		}
		if fields[3] != segmentSize || fields[6] != "0" {
			continue
		}
		id, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("/proc/sysvipc/shm: line %q: %w", line, err)
		}
		all[id] = true
	}
	return all, nil
}

// removeOthers removes the segments that have come since s was listed.
func (s segments) removeOthers() error {
	now, err := sharedMemory()
	if err != nil {
		return err
	}
	var errs []error
	for id := range now {
		if s[id] {
			continue
		}
		if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("remove shared memory segment %d: %w", id, err))
		}
	}
	return errors.Join(errs...)
}
