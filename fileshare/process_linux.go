package fileshare

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// process is a running share server, found by its state directory.
type process struct {
	pidfd  int
	exited chan struct{} // closed when it has ended
	wake   *os.File      // closed by close: ends the watcher
	quit   *os.File
	once   sync.Once
	done   chan struct{} // closed when the watcher has ended
}

// openProcess finds the process recorded in dir; vm.ErrNotFound if none runs.
func openProcess(dir string) (*process, error) {
	pidfd, err := openRecorded(dir)
	if err != nil {
		return nil, err
	}
	quit, wake, err := os.Pipe()
	if err != nil {
		unix.Close(pidfd)
		return nil, err
	}
	p := &process{pidfd: pidfd, exited: make(chan struct{}), wake: wake, quit: quit, done: make(chan struct{})}
	go p.watch(int(quit.Fd()))
	return p, nil
}

// watch closes exited when the process ends.
func (p *process) watch(quit int) {
	defer close(p.done)
	for {
		fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}, {Fd: int32(quit), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		if err == unix.EINTR {
			continue
		}
		if fds[0].Revents != 0 {
			close(p.exited)
			return
		}
		if err != nil || fds[1].Revents != 0 {
			return
		}
	}
}

// kill ends the process and waits for its end.
func (p *process) kill(done <-chan struct{}) error {
	if err := unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return err
	}
	return p.ended(done)
}

// close drops what is held of the process, which goes on.
func (p *process) close() {
	p.once.Do(func() {
		p.wake.Close()
		<-p.done
		p.quit.Close()
		unix.Close(p.pidfd)
	})
}
