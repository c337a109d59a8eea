package ntfs

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLocksAreLinuxs compares the table with Linux' own locks of open file
// descriptions, which are what a guest's program expects.
func TestLocksAreLinuxs(t *testing.T) {
	const owners, width, steps = 4, 24, 20_000
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var files [owners]int
	for i := range files {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		files[i] = fd
	}
	var table LockTable
	r := rand.New(rand.NewPCG(7, 7))
	for step := range steps {
		owner, start := r.IntN(owners), int64(r.IntN(width))
		length := 1 + int64(r.IntN(width/2))
		typ := []int16{unix.F_RDLCK, unix.F_WRLCK, unix.F_UNLCK}[r.IntN(3)]
		l := Lock{Owner: uint64(owner), Start: uint64(start), End: uint64(start + length - 1), Write: typ == unix.F_WRLCK}
		lk := unix.Flock_t{Type: typ, Start: start, Len: length}
		want := unix.FcntlFlock(uintptr(files[owner]), unix.F_OFD_SETLK, &lk)
		var got error
		if typ == unix.F_UNLCK {
			table.Unlock(1, l.Owner, l.Start, l.End)
		} else {
			got = table.Set(1, l)
		}
		if (got == nil) != (want == nil) {
			t.Fatalf("step %d, %+v: %v, Linux says %v; held %+v", step, l, got, want, table.Held(1))
		}
		if step%50 > 0 {
			continue
		}
		for at := range uint64(width) { // who would be refused what
			probe := Lock{Owner: owners, Start: at, End: at, Write: step%100 == 0}
			if _, got := table.Test(1, probe); got != linuxRefuses(t, path, probe) {
				t.Fatalf("step %d: byte %d is locked: %v, and Linux says otherwise", step, at, got)
			}
		}
	}
}

func linuxRefuses(t *testing.T, path string, l Lock) bool {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lk := unix.Flock_t{Type: unix.F_RDLCK, Start: int64(l.Start), Len: int64(l.End-l.Start) + 1}
	if l.Write {
		lk.Type = unix.F_WRLCK
	}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lk); err != nil {
		t.Fatal(err)
	}
	return lk.Type != unix.F_UNLCK
}
