//go:build linux

package posix

import (
	"runtime"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// asCaller runs fn, which makes something in a directory, with the caller's
// fsuid and fsgid, so that it belongs to the caller. Capabilities stay: the client's kernel has already
// checked permissions, with groups that we do not know.
func (fs *FS) asCaller(caller *fuse.Caller, dir *inode, fn func() error) error {
	who, err := fs.owner(caller)
	if err != nil {
		return err
	}
	if err := fs.mayChange(dir, unix.EACCES); err != nil {
		return err
	}
	if who.Uid == 0 && who.Gid == 0 {
		return fn()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&hdr, &caps[0]); err != nil {
		return err
	}
	// Groups first: setfsuid takes the file capabilities from the effective
	// set, which capset puts back and setfsuid(0) would too.
	if err := setFSID(unix.SYS_SETFSGID, who.Gid); err != nil {
		return err
	}
	defer setFSID(unix.SYS_SETFSGID, 0)
	if err := setFSID(unix.SYS_SETFSUID, who.Uid); err != nil {
		return err
	}
	defer setFSID(unix.SYS_SETFSUID, 0)
	if err := unix.Capset(&hdr, &caps[0]); err != nil {
		return err
	}
	return fn()
}

// setFSID sets a file system id; the calls tell the former id and no error, so ask again.
func setFSID(call uintptr, id uint32) error {
	unix.RawSyscall(call, uintptr(id), 0, 0)
	now, _, _ := unix.RawSyscall(call, ^uintptr(0), 0, 0)
	if uint32(now) != id {
		return unix.EPERM
	}
	return nil
}
