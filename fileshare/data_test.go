//go:build linux

package fileshare

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// testAppend appends from both sides: neither may overwrite the other.
func testAppend(t *testing.T, host, guest string) {
	g, err := os.OpenFile(guest+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer g.Close()
	h, err := os.OpenFile(host+"/log", os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	defer h.Close()
	var want string
	for i := range 20 {
		f := []*os.File{g, h}[i%2]
		line := fmt.Sprintf("line %d\n", i)
		_, err := f.WriteString(line)
		must(t, err)
		want += line
	}
	got, err := os.ReadFile(host + "/log")
	must(t, err)
	if string(got) != want {
		t.Errorf("log holds %q", got)
	}
}

func testExcl(t *testing.T, host, guest string) {
	must(t, os.WriteFile(host+"/f", []byte("x"), 0o600))
	_, err := os.OpenFile(guest+"/f", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	wantErrno(t, "O_EXCL", err, unix.EEXIST)
	f, err := os.OpenFile(guest+"/f", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	must(t, err)
	f.Close()
	if n := statOf(t, host+"/f").Size; n != 0 {
		t.Errorf("O_TRUNC left %d bytes", n)
	}
}

func testMmap(t *testing.T, host, guest string) {
	must(t, os.WriteFile(guest+"/m", make([]byte, 8192), 0o600))
	if out, err := helper(t, "mmap", guest+"/m").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := os.ReadFile(host + "/m")
	must(t, err)
	if !bytes.HasPrefix(got[4096:], []byte("mapped")) {
		t.Errorf("host has %q", got[4096:4106])
	}
}

func testSparse(t *testing.T, host, guest string) {
	f, err := os.Create(guest + "/s")
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(10<<20))
	_, err = f.WriteAt([]byte("data"), 5<<20)
	must(t, err)
	st := statOf(t, host+"/s")
	if st.Size != 10<<20 || st.Blocks*512 > 1<<20 {
		t.Errorf("size %d, blocks %d", st.Size, st.Blocks)
	}
	if off, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA); err != nil || off == 0 || off > 5<<20 {
		t.Errorf("SEEK_DATA: %d, %v", off, err)
	}
	if off, err := unix.Seek(int(f.Fd()), 6<<20, unix.SEEK_HOLE); err != nil || off != 6<<20 {
		t.Errorf("SEEK_HOLE: %d, %v", off, err)
	}
	must(t, unix.Fallocate(int(f.Fd()), 0, 0, 1<<20))
	must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 5<<20, 1<<20))
	buf := make([]byte, 4)
	_, err = f.ReadAt(buf, 5<<20)
	must(t, err)
	if !bytes.Equal(buf, make([]byte, 4)) {
		t.Errorf("punched range reads %q", buf)
	}
}

func testTmpfile(t *testing.T, host, guest string) {
	fd, err := unix.Open(guest, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == unix.EOPNOTSUPP {
		t.Skip("this kernel's FUSE has no O_TMPFILE")
	}
	must(t, err)
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("x"))
	must(t, err)
	must(t, unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, guest+"/named", unix.AT_SYMLINK_FOLLOW))
	if got, err := os.ReadFile(host + "/named"); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

func testCopyRange(t *testing.T, host, guest string) {
	data := bytes.Repeat([]byte("copy"), 1<<18)
	must(t, os.WriteFile(guest+"/a", data, 0o600))
	a, err := os.Open(guest + "/a")
	must(t, err)
	defer a.Close()
	b, err := os.Create(guest + "/b")
	must(t, err)
	defer b.Close()
	for left := len(data); left > 0; {
		n, err := unix.CopyFileRange(int(a.Fd()), nil, int(b.Fd()), nil, left, 0)
		must(t, err)
		left -= n
	}
	if got, _ := os.ReadFile(host + "/b"); !bytes.Equal(got, data) {
		t.Errorf("copied %d bytes", len(got))
	}
}

// testPOSIXLocks shows locks between processes of the guest, and against the host's.
func testPOSIXLocks(t *testing.T, host, guest string) {
	f, err := os.Create(guest + "/f")
	must(t, err)
	must(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	for _, path := range []string{guest + "/f", host + "/f"} {
		if got := exitErrno(helper(t, "setlk", path).Run()); got != unix.EAGAIN {
			t.Errorf("second locker on %s: %v", path, got)
		}
		if got := exitErrno(helper(t, "getlk", path).Run()); got != unix.EAGAIN {
			t.Errorf("F_GETLK on %s: %v", path, got)
		}
	}
	waiter := helper(t, "setlkw", guest+"/f")
	must(t, waiter.Start())
	killed := helper(t, "setlkw", guest+"/f")
	must(t, killed.Start())
	must(t, killed.Process.Kill())
	killed.Wait() // a waiter can be killed
	must(t, f.Close())
	must(t, waiter.Wait())
	must(t, helper(t, "setlk", guest+"/f").Run())
	must(t, helper(t, "getlk", guest+"/f").Run())
}

func testFlock(t *testing.T, host, guest string) {
	f, err := os.Create(guest + "/f")
	must(t, err)
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	for _, path := range []string{guest + "/f", host + "/f"} {
		if got := exitErrno(helper(t, "flock", path).Run()); got != unix.EAGAIN {
			t.Errorf("second locker on %s: %v", path, got)
		}
	}
	must(t, f.Close())
	waitFor(t, "lock after close", func() error { return helper(t, "flock", guest+"/f").Run() })
}

func testDirect(t *testing.T, host, guest string) {
	fd, err := unix.Open(guest+"/f", unix.O_CREAT|unix.O_RDWR|unix.O_DIRECT|unix.O_SYNC|unix.O_CLOEXEC, 0o600)
	must(t, err)
	defer unix.Close(fd)
	mem, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	must(t, err)
	defer unix.Munmap(mem)
	copy(mem, "direct")
	_, err = unix.Pwrite(fd, mem, 0)
	must(t, err)
	must(t, os.WriteFile(host+"/f", bytes.Repeat([]byte{'h'}, 8192), 0o600))
	_, err = unix.Pread(fd, mem, 0)
	must(t, err)
	if mem[0] != 'h' {
		t.Error("direct read missed the host's write")
	}
}
