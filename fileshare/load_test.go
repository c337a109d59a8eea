//go:build linux

package fileshare

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// What works on a share while its server is killed must be another process: this
// one starts the next server, and what is forked for that closes its copies of
// open files, which needs an answer of the server.

// loadMain writes and reads files in a directory, and prints how often that went
// well; what went wrong in a way that it may not makes it end. At the end of its
// input it reports on a file that it has held open and locked all the time.
func loadMain(dir string) error {
	held, err := os.Create(dir + "/held")
	if err != nil {
		return err
	}
	if _, err := held.WriteString("written before"); err != nil {
		return err
	}
	if err := unix.FcntlFlock(held.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		return err
	}
	var good atomic.Int64
	var over atomic.Bool
	errs := make(chan error, 4)
	var all sync.WaitGroup
	for w := range cap(errs) {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; !over.Load(); i++ {
				ok, err := writeAndRead(fmt.Sprintf("%s/%d-%d", dir, w, i))
				if err != nil {
					errs <- err
					return
				}
				if ok {
					good.Add(1)
				}
			}
		}()
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(good.Load())
	}
	over.Store(true)
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	_, err = held.WriteString("after")
	return err
}

// writeAndRead is false if a crash of the server came between.
func writeAndRead(name string) (bool, error) {
	err := os.WriteFile(name, []byte(name), 0o644)
	var got []byte
	if err == nil {
		got, err = os.ReadFile(name)
	}
	switch errnoOf(err) {
	case 0:
		if err != nil || string(got) != name {
			return false, fmt.Errorf("%s holds %q: %v", name, got, err)
		}
		return true, nil
	case unix.EIO, unix.ESTALE:
		return false, nil
	}
	return false, err
}

// load is a running loadMain.
type load struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startLoad(t testing.TB, dir string) *load {
	t.Helper()
	l := &load{cmd: helper(t, "load", dir)}
	l.cmd.Stderr = os.Stderr
	var err error
	l.in, err = l.cmd.StdinPipe()
	must(t, err)
	out, err := l.cmd.StdoutPipe()
	must(t, err)
	l.out = bufio.NewReader(out)
	must(t, l.cmd.Start())
	return l
}

// goesOn fails unless files can be written and read from now on.
func (l *load) goesOn(t testing.TB) {
	t.Helper()
	before := l.good(t)
	waitFor(t, "files written after a crash", func() error {
		if l.good(t) < before+20 {
			return errors.New("too few")
		}
		return nil
	})
}

func (l *load) good(t testing.TB) int {
	t.Helper()
	_, err := fmt.Fprintln(l.in)
	must(t, err)
	line, err := l.out.ReadString('\n')
	must(t, err)
	n, err := strconv.Atoi(line[:len(line)-1])
	must(t, err)
	return n
}

// end tells what became of the file that was open all the time.
func (l *load) end(t testing.TB) unix.Errno {
	t.Helper()
	must(t, l.in.Close())
	return exitErrno(l.cmd.Wait())
}
