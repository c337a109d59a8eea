//go:build linux

package crun

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// seals are those by which crun knows a copy of itself that nobody can change:
// CRUN_MEMFD_SEALS in its cloned_binary.c.
const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// Sealed is a copy of crun in memory that nobody can change. Started from
// anything else on a tmpfs, such as an initramfs, crun makes such a copy in every
// call and starts over twice, lest a container that gets hold of it through
// /proc/self/exe changes it (CVE-2019-5736). Code on new pages is also what
// an emulator has to translate anew.
type Sealed struct{ file *os.File }

// Seal copies the program.
func Seal(program string) (*Sealed, error) {
	from, err := os.Open(program)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	fd, err := unix.MemfdCreate("crun", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memory file for %s: %w", program, err)
	}
	s := &Sealed{file: os.NewFile(uintptr(fd), "crun")}
	if _, err := io.Copy(s.file, from); err != nil {
		s.file.Close()
		return nil, fmt.Errorf("copy %s: %w", program, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		s.file.Close()
		return nil, fmt.Errorf("seal the copy of %s: %w", program, err)
	}
	return s, nil
}

// path names the program for a process forked from this one.
func (s *Sealed) path() string { return fmt.Sprintf("/proc/self/fd/%d", s.file.Fd()) }
