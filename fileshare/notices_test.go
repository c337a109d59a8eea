//go:build linux

package fileshare

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inotify is a watcher in the guest.
type inotify struct {
	fd    int
	paths map[int]string
}

func watch(t testing.TB, paths ...string) *inotify {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	n := &inotify{fd: fd, paths: map[int]string{}}
	for _, path := range paths {
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MODIFY|unix.IN_ATTRIB|
			unix.IN_MOVE|unix.IN_CLOSE_WRITE|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF)
		must(t, err)
		n.paths[wd] = filepath.Base(path)
	}
	return n
}

var inotifyNames = []struct {
	mask uint32
	name string
}{
	{unix.IN_CREATE, "create"}, {unix.IN_DELETE, "delete"}, {unix.IN_MODIFY, "modify"}, {unix.IN_ATTRIB, "attrib"},
	{unix.IN_MOVED_FROM, "from"}, {unix.IN_MOVED_TO, "to"}, {unix.IN_CLOSE_WRITE, "close_write"},
	{unix.IN_DELETE_SELF, "delete_self"}, {unix.IN_MOVE_SELF, "move_self"}, {unix.IN_Q_OVERFLOW, "overflow"},
}

// read gives the events that are there, like "dir:create f", and the cookies of renames.
func (n *inotify) read(t testing.TB) (events []string, cookies []uint32) {
	t.Helper()
	buf := make([]byte, 1<<20)
	size, err := unix.Read(n.fd, buf)
	if err == unix.EAGAIN {
		return nil, nil
	}
	must(t, err)
	for buf = buf[:size]; len(buf) > 0; {
		wd, mask := int(int32(binary.NativeEndian.Uint32(buf))), binary.NativeEndian.Uint32(buf[4:])
		length := int(binary.NativeEndian.Uint32(buf[12:]))
		name, _, _ := bytes.Cut(buf[16:16+length], []byte{0})
		for _, k := range inotifyNames {
			if mask&k.mask != 0 {
				events = append(events, strings.TrimSuffix(fmt.Sprintf("%s:%s %s", n.paths[wd], k.name, name), " "))
				if cookie := binary.NativeEndian.Uint32(buf[8:]); cookie != 0 {
					cookies = append(cookies, cookie)
				}
			}
		}
		buf = buf[16+length:]
	}
	return events, cookies
}

// settle reads until what is wanted has come, and then until nothing has come for a while.
func (n *inotify) settle(t testing.TB, want ...string) (events []string, cookies []uint32) {
	t.Helper()
	missing := func(w string) bool { return !slices.Contains(events, w) }
	for late := time.Now().Add(15 * time.Second); slices.ContainsFunc(want, missing) && time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		e, c := n.read(t)
		events, cookies = append(events, e...), append(cookies, c...)
	}
	for quiet := 0; quiet < 6; quiet++ {
		time.Sleep(50 * time.Millisecond)
		e, c := n.read(t)
		if len(e) > 0 {
			quiet = 0
		}
		events, cookies = append(events, e...), append(cookies, c...)
	}
	return events, cookies
}

// TestINotify edits on the host and sees the same events in the guest as a watcher on the host.
func TestINotify(t *testing.T) {
	for _, tc := range []struct {
		name  string
		edit  func(dir string) error
		wants string
	}{
		{"create", func(d string) error { return unix.Mknod(d+"/new", unix.S_IFREG|0o644, 0) }, "d:create new"},
		{"create and write", func(d string) error { return os.WriteFile(d+"/new", []byte("x"), 0o644) },
			"d:create new, d:modify new, d:close_write new"},
		{"a temporary file over another", func(d string) error {
			if err := os.WriteFile(d+"/.f", []byte("x"), 0o644); err != nil {
				return err
			}
			return os.Rename(d+"/.f", d+"/f")
		}, "d:create .f, d:modify .f, d:close_write .f, d:from .f, d:to f, f:delete_self"},
		{"many at once", func(d string) error {
			return errors.Join(os.WriteFile(d+"/unseen", []byte("two"), 0o644), os.WriteFile(d+"/.new", []byte("three"), 0o644),
				os.Rename(d+"/.new", d+"/unseen"), os.Chmod(d+"/unseen", 0o600), os.Remove(d+"/unseen"))
		}, "d:modify unseen, d:close_write unseen, d:create .new, d:modify .new, d:close_write .new, d:from .new, d:to unseen, " +
			"d:attrib unseen, d:delete unseen"},
		{"a file for a moment", func(d string) error {
			if err := os.WriteFile(d+"/.f", []byte("x"), 0o644); err != nil {
				return err
			}
			return os.Remove(d + "/.f")
		}, "d:create .f, d:modify .f, d:close_write .f, d:delete .f"},
		{"mkdir", func(d string) error { return os.Mkdir(d+"/new", 0o755) }, "d:create new"},
		{"symlink", func(d string) error { return os.Symlink("/nowhere", d+"/new") }, "d:create new"},
		{"fifo", func(d string) error { return unix.Mkfifo(d+"/new", 0o644) }, "d:create new"},
		{"append", func(d string) error { return appendTo(d+"/f", "more") }, "d:modify f, d:close_write f, f:modify, f:close_write"},
		{"truncate", func(d string) error { return os.Truncate(d+"/f", 1) }, "d:modify f, f:modify"},
		{"chmod", func(d string) error { return os.Chmod(d+"/f", 0o600) }, "d:attrib f, f:attrib"},
		{"chmod of the folder", func(d string) error { return os.Chmod(d, 0o700) }, "d:attrib"},
		{"remove", func(d string) error { return os.Remove(d + "/f") }, "d:delete f, f:delete_self"},
		{"remove what the guest has not seen", func(d string) error { return os.Remove(d + "/unseen") }, "d:delete unseen"},
		{"rmdir", func(d string) error { return os.Remove(d + "/sub") }, "d:delete sub"},
		{"rename", func(d string) error { return os.Rename(d+"/f", d+"/g") }, "d:from f, d:to g, f:move_self"},
		{"rename what the guest has not seen", func(d string) error { return os.Rename(d+"/unseen", d+"/g") }, "d:from unseen, d:to g"},
		{"rename of a folder", func(d string) error { return os.Rename(d+"/sub", d+"/bus") }, "d:from sub, d:to bus"},
		{"replace", func(d string) error { return os.Rename(d+"/unseen", d+"/f") }, "d:from unseen, d:to f, f:delete_self"},
		{"move out", func(d string) error { return os.Rename(d+"/f", d+"/../../f") }, "d:delete f"},
		{"move to a folder beside", func(d string) error { return os.Rename(d+"/f", d+"/../e/f") }, "d:from f, e:to f, f:move_self"},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "-"), func(t *testing.T) {
			r := newRig(t)
			host := filepath.Join(r.dir, "host")
			must(t, os.MkdirAll(host+"/d/sub", 0o755))
			must(t, os.Mkdir(host+"/e", 0o755))
			must(t, os.WriteFile(host+"/d/f", []byte("data"), 0o644))
			must(t, os.WriteFile(host+"/d/unseen", nil, 0o644))
			guest := r.mountShare(t, Share{ID: "s", HostPath: host, Watch: true})
			n := watch(t, guest+"/d", guest+"/d/f", guest+"/e")
			must(t, tc.edit(host+"/d"))
			want := strings.Split(tc.wants, ", ")
			events, cookies := n.settle(t, want...)
			if tc.name == "move out" { // another link might be left, for all that the guest knows
				events = slices.DeleteFunc(events, func(e string) bool { return strings.HasPrefix(e, "f:") })
			}
			got := withoutSelf(events)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("events %q, want %q", got, want)
			}
			if len(cookies) == 2 && cookies[0] != cookies[1] {
				t.Errorf("a rename came as two: cookies %v", cookies)
			}
		})
	}
}

// withoutSelf sorts events, without those by which inotify says that the last link of a file went,
// and with one of equal changes: inotify makes one of them if nobody has read the first.
func withoutSelf(events []string) []string {
	slices.Sort(events)
	events = slices.Compact(events)
	return slices.DeleteFunc(events, func(e string) bool { return e == "f:attrib" && slices.Contains(events, "f:delete_self") })
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// TestNoEchoes: what the guest does itself it is told once, by its own kernel.
func TestNoEchoes(t *testing.T) {
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	must(t, os.MkdirAll(host+"/d", 0o755))
	guest := r.mountShare(t, Share{ID: "s", HostPath: host, Watch: true})
	n := watch(t, guest+"/d")
	must(t, os.WriteFile(guest+"/d/a", []byte("x"), 0o644))
	must(t, os.Rename(guest+"/d/a", guest+"/d/b"))
	must(t, os.Chmod(guest+"/d/b", 0o600))
	must(t, os.Remove(guest+"/d/b"))
	want := []string{"d:create a", "d:modify a", "d:close_write a", "d:from a", "d:to b", "d:attrib b", "d:delete b"}
	if got, _ := n.settle(t, want...); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestNoticesOfManyFiles makes, writes, renames and removes many files on the host.
func TestNoticesOfManyFiles(t *testing.T) {
	const files = 300
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	must(t, os.MkdirAll(host+"/d", 0o755))
	guest := r.mountShare(t, Share{ID: "s", HostPath: host, Watch: true})
	n := watch(t, guest+"/d")
	want := map[string]int{}
	for i := range files {
		name := fmt.Sprintf("%s/d/f%d", host, i)
		must(t, os.WriteFile(name, []byte("x"), 0o644))
		must(t, os.Rename(name, name+"x"))
		must(t, os.Remove(name+"x"))
	}
	for i := range files {
		must(t, os.WriteFile(fmt.Sprintf("%s/d/stays%d", host, i), []byte("x"), 0o644))
	}
	want["create"], want["close_write"] = files, files
	got := map[string]int{}
	waitFor(t, "events of files that stay", func() error {
		events, _ := n.read(t)
		for _, e := range events {
			if what, name, _ := strings.Cut(strings.TrimPrefix(e, "d:"), " "); strings.HasPrefix(name, "stays") {
				got[what]++
			}
		}
		if got["create"] < files || got["close_write"] < files {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	if entries, err := os.ReadDir(guest + "/d"); err != nil || len(entries) != files {
		t.Errorf("the guest sees %d files, %v", len(entries), err)
	}
}

// TestNoStorm: a file that is written without end gives a bounded number of events.
func TestNoStorm(t *testing.T) {
	const writes = 50_000
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	must(t, os.MkdirAll(host+"/d", 0o755))
	guest := r.mountShare(t, Share{ID: "s", HostPath: host, Watch: true})
	n := watch(t, guest+"/d")
	f, err := os.Create(host + "/d/log")
	must(t, err)
	defer f.Close()
	start := time.Now()
	for range writes {
		_, err := f.WriteString("line\n")
		must(t, err)
	}
	seconds := time.Since(start).Seconds() + 1
	events, _ := n.settle(t, "d:create log", "d:modify log")
	if most := int(110*seconds) + 2; len(events) < 2 || len(events) > most {
		t.Errorf("%d events of %d writes in %.1f s, want at most %d", len(events), writes, seconds, most)
	}
	waitFor(t, "the guest to see all of it", func() error {
		if st := statOf(t, guest+"/d/log"); st.Size != 5*writes {
			return fmt.Errorf("it sees %d bytes", st.Size)
		}
		return nil
	})
}

// TestBothSidesSeeWritesAtOnce: with notices nothing that the guest has cached
// outlives a change, whether anybody watches or not. The guest may cache for an hour here: that
// something is seen shows that it was told.
func TestBothSidesSeeWritesAtOnce(t *testing.T) {
	serverEnv = []string{cacheTimeEnv + "=1h"}
	t.Cleanup(func() { serverEnv = nil })
	for _, watched := range []bool{false, true} {
		t.Run(fmt.Sprintf("watched=%v", watched), func(t *testing.T) { bothSides(t, watched) })
	}
}

func bothSides(t *testing.T, watched bool) {
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	must(t, os.MkdirAll(host+"/d", 0o755))
	must(t, os.WriteFile(host+"/d/f", []byte("one"), 0o644))
	guest := r.mountShare(t, Share{ID: "s", HostPath: host, Watch: true})
	if watched {
		watch(t, guest+"/d", guest+"/d/f")
	}
	f, err := os.Open(guest + "/d/f")
	must(t, err)
	defer f.Close()
	sees := func(what string, seen func() bool) {
		t.Helper()
		waitFor(t, what, func() error {
			if !seen() {
				return errors.New("not seen")
			}
			return nil
		})
	}
	read := func(want string) func() bool {
		return func() bool {
			buf := make([]byte, 100)
			n, _ := f.ReadAt(buf, 0)
			return string(buf[:n]) == want
		}
	}
	exists := func(name string, want bool) func() bool {
		return func() bool {
			_, err := os.Lstat(guest + "/d/" + name)
			return (err == nil) == want
		}
	}
	sees("as it is", read("one"))
	must(t, os.WriteFile(host+"/d/f", []byte("two"), 0o644)) // the same size
	sees("a write, in a file that is open", read("two"))
	must(t, os.Chmod(host+"/d/f", 0o600))
	sees("chmod", func() bool { return statOf(t, guest+"/d/f").Mode&0o777 == 0o600 })
	must(t, os.Rename(host+"/d/f", host+"/d/g"))
	sees("rename: the old name", exists("f", false))
	sees("rename: the new name", exists("g", true))
	must(t, os.Remove(host+"/d/g"))
	sees("removal", exists("g", false))
	_, err = f.Stat()
	must(t, err)
	sees("what is open stays", read("two"))
	must(t, os.WriteFile(guest+"/d/h", []byte("of the guest"), 0o644))
	if got, err := os.ReadFile(host + "/d/h"); err != nil || string(got) != "of the guest" {
		t.Errorf("the host reads %q, %v", got, err)
	}
}

// TestNoticesElsewhere: of read-only shares, of a share that is a file, of two shares
// of one folder; and none of a share that has none.
func TestNoticesElsewhere(t *testing.T) {
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	must(t, os.MkdirAll(host, 0o755))
	must(t, os.WriteFile(host+"/f", []byte("x"), 0o644))
	readOnly := r.mountShare(t, Share{ID: "ro", HostPath: host, ReadOnly: true, Watch: true})
	writable := r.mountShare(t, Share{ID: "rw", HostPath: host, Watch: true})
	file := r.mountShare(t, Share{ID: "file", HostPath: host + "/f", Watch: true})
	off := r.mountShare(t, Share{ID: "off", HostPath: host})
	all := map[string]*inotify{"ro": watch(t, readOnly), "rw": watch(t, writable), "file": watch(t, file), "off": watch(t, off)}
	wantErrno(t, "write to the read-only one", os.WriteFile(readOnly+"/g", nil, 0o644), unix.EROFS)
	must(t, appendTo(host+"/f", "more"))
	must(t, os.WriteFile(host+"/g", nil, 0o644))
	// Removing one share must not end the other's notices.
	must(t, r.shares.Unmount("rw"))
	must(t, r.srv.Remove(r.ctx(t), "rw"))
	time.Sleep(100 * time.Millisecond)
	must(t, os.Remove(host+"/g"))
	for id, want := range map[string][]string{
		"ro":   {"mnt-ro:modify f", "mnt-ro:close_write f", "mnt-ro:create g", "mnt-ro:close_write g", "mnt-ro:delete g"},
		"file": {"mnt-file:modify", "mnt-file:close_write"},
		"off":  nil,
	} {
		if got, _ := all[id].settle(t, want...); !slices.Equal(got, want) {
			t.Errorf("%s: events %q, want %q", id, got, want)
		}
	}
}
