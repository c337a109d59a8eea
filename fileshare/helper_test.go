//go:build linux

package fileshare

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// helperArg makes the test binary another process that works on a share.
const helperArg = "fileshare-helper"

func helperMain(args []string) int {
	if args[0] == "load" {
		err := loadMain(args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return int(errnoOf(err))
	}
	file, err := os.OpenFile(args[1], os.O_RDWR, 0)
	if err == nil {
		switch args[0] {
		case "setlk":
			err = unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		case "getlk":
			err = inTheWay(file)
		case "setlkw":
			err = unix.FcntlFlock(file.Fd(), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK})
		case "flock":
			err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		case "mmap":
			err = writeMapped(file)
		default:
			err = fmt.Errorf("unknown helper %q", args[0])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return int(errnoOf(err))
	}
	return 0
}

// inTheWay is EAGAIN if F_GETLK tells a write lock of the whole file in the way of one.
func inTheWay(file *os.File) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_GETLK, &lk); err != nil || lk.Type == unix.F_UNLCK {
		return err
	}
	if lk.Type != unix.F_WRLCK || lk.Start != 0 || lk.Len != 0 {
		return fmt.Errorf("another lock than was set: %+v", lk)
	}
	return unix.EAGAIN
}

// writeMapped writes through a shared mapping. It must not happen in the process
// that pumps the share: a page fault holds a thread that Go believes to run, and
// the collector, waiting for it, would stop the pump that has to answer it.
func writeMapped(file *os.File) error {
	mem, err := unix.Mmap(int(file.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	copy(mem[4096:], "mapped")
	return errors.Join(unix.Msync(mem, unix.MS_SYNC), unix.Munmap(mem))
}

// helper runs the test binary as another process; its exit code is the errno.
func helper(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command("/proc/self/exe", append([]string{helperArg}, args...)...)
}

func exitErrno(err error) unix.Errno {
	if e, ok := err.(*exec.ExitError); ok {
		return unix.Errno(e.ExitCode())
	}
	return 0
}

// asUser runs a shell command as uid:gid.
func asUser(uid, gid int, script string) error {
	out, err := exec.Command("setpriv", "--reuid", strconv.Itoa(uid), "--regid", strconv.Itoa(gid), "--clear-groups", "sh", "-ec", script).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, out)
	}
	return nil
}
