//go:build linux

package fileshare

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPOSIX works on a share through the kernel's client; each case has a
// directory of its own, seen from the host and from the guest.
func TestPOSIX(t *testing.T) {
	r := newRig(t)
	hostRoot, guestRoot := r.share(t, "posix", false)
	must(t, os.Chmod(hostRoot, 0o777))
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, host, guest string)
	}{
		{"link counts and inode numbers", testLinks},
		{"unlink while open", testUnlinkOpen},
		{"rename over open", testRenameOpen},
		{"rename flags", testRenameFlags},
		{"mknod", testMknod},
		{"symlinks", testSymlinks},
		{"xattrs", testXattrs},
		{"append", testAppend},
		{"exclusive create", testExcl},
		{"shared mmap", testMmap},
		{"truncate, sparse, fallocate", testSparse},
		{"times and modes", testTimes},
		{"owner, umask, setgid directory", testOwner},
		{"setuid cleared by a write", testKillSetuid},
		{"default ACL replaces umask", testACL},
		{"statfs", testStatfs},
		{"readdir of many", testReaddir},
		{"tmpfile", testTmpfile},
		{"copy_file_range", testCopyRange},
		{"POSIX locks", testPOSIXLocks},
		{"flock", testFlock},
		{"direct and synchronous I/O", testDirect},
		{"errors", testErrors},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(hostRoot, "case")
			must(t, err)
			must(t, os.Chmod(dir, 0o777))
			tc.run(t, dir, filepath.Join(guestRoot, filepath.Base(dir)))
		})
	}
}

func testLinks(t *testing.T, host, guest string) {
	must(t, os.WriteFile(guest+"/a", []byte("x"), 0o600))
	must(t, os.Link(guest+"/a", guest+"/b"))
	g, h := statOf(t, guest+"/a"), statOf(t, host+"/b")
	if g.Nlink != 2 || h.Nlink != 2 || g.Ino != h.Ino {
		t.Errorf("guest nlink %d ino %d, host nlink %d ino %d", g.Nlink, g.Ino, h.Nlink, h.Ino)
	}
	must(t, os.Remove(guest+"/a"))
	if n := statOf(t, guest+"/b").Nlink; n != 1 {
		t.Errorf("after unlink nlink is %d", n)
	}
	must(t, os.Mkdir(guest+"/d", 0o755))
	must(t, os.Mkdir(guest+"/d/e", 0o755))
	if g, h := statOf(t, guest+"/d").Nlink, statOf(t, host+"/d").Nlink; g != h {
		t.Errorf("directory nlink %d, on the host %d", g, h)
	}
}

func testUnlinkOpen(t *testing.T, _, guest string) {
	f, err := os.Create(guest + "/f")
	must(t, err)
	defer f.Close()
	must(t, os.Remove(guest+"/f"))
	_, err = f.WriteAt([]byte("still here"), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Truncate(5))
	buf := make([]byte, 10)
	n, _ := f.ReadAt(buf, 0)
	fi, err := f.Stat()
	must(t, err)
	if string(buf[:n]) != "still" || fi.Size() != 5 {
		t.Errorf("read %q, size %d", buf[:n], fi.Size())
	}
}

func testRenameOpen(t *testing.T, host, guest string) {
	must(t, os.WriteFile(guest+"/old", []byte("old"), 0o600))
	must(t, os.WriteFile(guest+"/new", []byte("new"), 0o600))
	f, err := os.Open(guest + "/old")
	must(t, err)
	defer f.Close()
	must(t, os.Rename(guest+"/new", guest+"/old"))
	buf := make([]byte, 3)
	_, err = f.ReadAt(buf, 0)
	must(t, err)
	got, err := os.ReadFile(guest + "/old")
	must(t, err)
	if string(buf) != "old" || string(got) != "new" {
		t.Errorf("open file reads %q, name reads %q", buf, got)
	}
}

func testRenameFlags(t *testing.T, _, guest string) {
	must(t, os.WriteFile(guest+"/a", []byte("a"), 0o600))
	must(t, os.WriteFile(guest+"/b", []byte("b"), 0o600))
	wantErrno(t, "noreplace", unix.Renameat2(unix.AT_FDCWD, guest+"/a", unix.AT_FDCWD, guest+"/b", unix.RENAME_NOREPLACE), unix.EEXIST)
	must(t, unix.Renameat2(unix.AT_FDCWD, guest+"/a", unix.AT_FDCWD, guest+"/b", unix.RENAME_EXCHANGE))
	if got, _ := os.ReadFile(guest + "/a"); string(got) != "b" {
		t.Errorf("after the exchange a holds %q", got)
	}
}

func testMknod(t *testing.T, host, guest string) {
	for _, tc := range []struct {
		name string
		mode uint32
		dev  uint64
	}{
		{"fifo", unix.S_IFIFO | 0o640, 0}, {"socket", unix.S_IFSOCK | 0o600, 0}, {"file", unix.S_IFREG | 0o604, 0},
		{"char", unix.S_IFCHR | 0o600, unix.Mkdev(1, 3)}, {"block", unix.S_IFBLK | 0o600, unix.Mkdev(259, 300)},
	} {
		must(t, unix.Mknod(filepath.Join(guest, tc.name), tc.mode, int(tc.dev)))
		for _, dir := range []string{host, guest} {
			st := statOf(t, filepath.Join(dir, tc.name))
			if st.Mode != tc.mode || st.Rdev != tc.dev {
				t.Errorf("%s in %s: mode %o dev %#x", tc.name, dir, st.Mode, st.Rdev)
			}
		}
	}
	// The guest's own devices answer, not the host's.
	if got, err := os.ReadFile(guest + "/char"); err != nil || len(got) != 0 {
		t.Errorf("read of a null device: %q, %v", got, err)
	}
}

func testSymlinks(t *testing.T, host, guest string) {
	must(t, os.Symlink("../../../../etc/passwd", guest+"/l"))
	got, err := os.Readlink(host + "/l")
	must(t, err)
	if got != "../../../../etc/passwd" {
		t.Errorf("on the host %q", got)
	}
	if got, err = os.Readlink(guest + "/l"); err != nil || got != "../../../../etc/passwd" {
		t.Errorf("in the guest %q, %v", got, err)
	}
	must(t, unix.Lchown(guest+"/l", 7, 8))
	if st := statOf(t, host+"/l"); st.Uid != 7 || st.Gid != 8 {
		t.Errorf("link owned by %d:%d", st.Uid, st.Gid)
	}
	ts := []unix.Timespec{{Sec: 5}, {Sec: 6}}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, guest+"/l", ts, unix.AT_SYMLINK_NOFOLLOW))
	if st := statOf(t, host+"/l"); st.Mtim.Sec != 6 {
		t.Errorf("link's mtime %d", st.Mtim.Sec)
	}
}

func testXattrs(t *testing.T, host, guest string) {
	must(t, os.WriteFile(guest+"/f", nil, 0o600))
	var st unix.Statfs_t
	must(t, unix.Statfs(host, &st))
	const tmpfs = 0x01021994
	if err := unix.Setxattr(host+"/f", "user.probe", []byte("x"), 0); err == unix.ENOTSUP && st.Type == tmpfs {
		t.Skip("this kernel's tmpfs has no user attributes")
	}
	must(t, unix.Setxattr(guest+"/f", "user.a", []byte("one"), unix.XATTR_CREATE))
	wantErrno(t, "create again", unix.Setxattr(guest+"/f", "user.a", []byte("two"), unix.XATTR_CREATE), unix.EEXIST)
	buf := make([]byte, 100)
	n, err := unix.Getxattr(host+"/f", "user.a", buf)
	must(t, err)
	if string(buf[:n]) != "one" {
		t.Errorf("on the host %q", buf[:n])
	}
	n, err = unix.Listxattr(guest+"/f", buf)
	must(t, err)
	if !bytes.Contains(buf[:n], []byte("user.a\x00")) {
		t.Errorf("listed %q", buf[:n])
	}
	must(t, unix.Removexattr(guest+"/f", "user.a"))
	_, err = unix.Getxattr(guest+"/f", "user.a", buf)
	wantErrno(t, "get removed", err, unix.ENODATA)
}

func testTimes(t *testing.T, host, guest string) {
	must(t, os.WriteFile(guest+"/f", nil, 0o600))
	must(t, os.Chmod(guest+"/f", os.ModeSetuid|0o751))
	when := time.Unix(1234567890, 123456789)
	must(t, os.Chtimes(guest+"/f", when, when.Add(time.Second)))
	for _, dir := range []string{host, guest} {
		st := statOf(t, dir+"/f")
		if st.Mode&07777 != 0o4751 || st.Atim.Nsec != 123456789 || st.Mtim.Sec != 1234567891 {
			t.Errorf("%s: mode %o times %+v %+v", dir, st.Mode, st.Atim, st.Mtim)
		}
	}
}

func testOwner(t *testing.T, host, guest string) {
	must(t, os.Mkdir(guest+"/sg", 0o777))
	must(t, os.Chown(guest+"/sg", 0, 4321))
	must(t, os.Chmod(guest+"/sg", os.ModeSetgid|0o777))
	must(t, asUser(1234, 1235, fmt.Sprintf(
		"umask 027; cd %s; touch f; mkdir d; ln -s x l; mkfifo p; touch sg/f; mkdir sg/d", guest)))
	for _, tc := range []struct {
		name     string
		uid, gid uint32
		mode     uint32
	}{
		{"f", 1234, 1235, unix.S_IFREG | 0o640}, {"d", 1234, 1235, unix.S_IFDIR | 0o750},
		{"l", 1234, 1235, unix.S_IFLNK | 0o777}, {"p", 1234, 1235, unix.S_IFIFO | 0o640},
		{"sg/f", 1234, 4321, unix.S_IFREG | 0o640}, {"sg/d", 1234, 4321, unix.S_IFDIR | unix.S_ISGID | 0o750},
	} {
		st := statOf(t, filepath.Join(host, tc.name))
		if st.Uid != tc.uid || st.Gid != tc.gid || st.Mode != tc.mode {
			t.Errorf("%s: %d:%d mode %o", tc.name, st.Uid, st.Gid, st.Mode)
		}
	}
	must(t, os.WriteFile(host+"/private", nil, 0o600))
	if asUser(1234, 1235, "cat "+guest+"/private") == nil {
		t.Error("another user could read a private file")
	}
}

func testKillSetuid(t *testing.T, host, guest string) {
	must(t, os.WriteFile(host+"/f", []byte("x"), 0o666))
	must(t, os.Chmod(host+"/f", os.ModeSetuid|os.ModeSetgid|0o777))
	must(t, asUser(1234, 1235, "echo y >>"+guest+"/f"))
	if m := statOf(t, host+"/f").Mode & 07777; m != 0o777 {
		t.Errorf("mode after a user's write %o", m)
	}
}

func testACL(t *testing.T, host, guest string) {
	// version 2: user::rwx, group::rwx, other::r-x
	acl := []byte{2, 0, 0, 0, 1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 5, 0, 0xff, 0xff, 0xff, 0xff}
	must(t, os.Mkdir(guest+"/d", 0o777))
	if err := unix.Setxattr(host+"/d", "system.posix_acl_default", acl, 0); errors.Is(err, unix.ENOTSUP) {
		t.Skip("the host's file system has no ACLs")
	}
	must(t, asUser(0, 0, "umask 077; touch "+guest+"/d/f"))
	if m := statOf(t, host+"/d/f").Mode & 0o777; m != 0o664 {
		t.Errorf("mode %o, want 664", m)
	}
}

func testStatfs(t *testing.T, host, guest string) {
	var h, g unix.Statfs_t
	must(t, unix.Statfs(host, &h))
	must(t, unix.Statfs(guest, &g))
	if h.Blocks != g.Blocks || h.Bsize != g.Bsize || h.Files != g.Files {
		t.Errorf("guest %+v, host %+v", g, h)
	}
}

func testReaddir(t *testing.T, host, guest string) {
	const many = 3000
	for i := range many {
		must(t, os.WriteFile(fmt.Sprintf("%s/file-with-a-rather-long-name-%05d", host, i), nil, 0o600))
	}
	for range 2 {
		entries, err := os.ReadDir(guest)
		must(t, err)
		if len(entries) != many {
			t.Errorf("%d entries", len(entries))
		}
	}
	must(t, os.RemoveAll(guest))
}

func testErrors(t *testing.T, host, guest string) {
	must(t, os.MkdirAll(guest+"/d/e", 0o755))
	must(t, os.WriteFile(guest+"/f", nil, 0o600))
	_, err := os.Stat(guest + "/f/x")
	wantErrno(t, "below a file", err, unix.ENOTDIR)
	wantErrno(t, "rmdir of a full directory", unix.Rmdir(guest+"/d"), unix.ENOTEMPTY)
	wantErrno(t, "rmdir of a file", unix.Rmdir(guest+"/f"), unix.ENOTDIR)
	wantErrno(t, "unlink of a directory", unix.Unlink(guest+"/d"), unix.EISDIR)
	wantErrno(t, "rename into itself", unix.Rename(guest+"/d", guest+"/d/e/x"), unix.EINVAL)
	_, err = os.Create(guest + "/" + string(bytes.Repeat([]byte("n"), 256)))
	wantErrno(t, "long name", err, unix.ENAMETOOLONG)
	f, err := os.Open(guest + "/f")
	must(t, err)
	defer f.Close()
	_, err = unix.IoctlGetInt(int(f.Fd()), unix.TIOCGWINSZ)
	wantErrno(t, "ioctl", err, unix.ENOTTY)
}
