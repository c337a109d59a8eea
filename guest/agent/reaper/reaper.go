//go:build linux

package reaper

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// orphanMemory is how many statuses of processes that nobody followed yet are kept.
const orphanMemory = 1024

// Exit is how a process ended.
type Exit struct {
	Code   uint32 // 128+n for a signal
	Signal uint32 // 0: none
	Time   time.Time
}

// Process is a process whose end the reaper reports.
type Process struct {
	PID  int
	done chan struct{}
	exit Exit
}

// Done is closed when the process has ended and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit is meaningful once Done is closed.
func (p *Process) Exit() Exit { return p.exit }

// Reaper collects children. Make it with Start, once per OS process.
type Reaper struct {
	// mu is held while a process is forked, so that its end is not dispatched before it is followed.
	mu       sync.Mutex
	followed map[int]*Process
	orphans  map[int]Exit // ended before anyone followed them
	order    []int        // of orphans, oldest first
}

// Start begins to collect the calling process's children.
func Start() *Reaper {
	r := &Reaper{followed: map[int]*Process{}, orphans: map[int]Exit{}}
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, unix.SIGCHLD)
	go func() {
		for range sig {
			r.reap()
		}
	}()
	return r
}

// Spawn forks and execs; see syscall.ForkExec.
func (r *Reaper) Spawn(path string, argv []string, attr *syscall.ProcAttr) (*Process, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return r.followLocked(pid), nil
}

// Follow reports on a process that another child started and that became a
// child of this one when its parent ended. since is a moment before that
// process was born: an older status of the same PID is another process's.
func (r *Reaper) Follow(pid int, since time.Time) *Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.followed[pid]; p != nil {
		return p
	}
	if exit, ok := r.orphans[pid]; ok && !exit.Time.Before(since) {
		p := &Process{PID: pid, done: make(chan struct{}), exit: exit}
		close(p.done)
		return p
	}
	return r.followLocked(pid)
}

func (r *Reaper) followLocked(pid int) *Process {
	p := &Process{PID: pid, done: make(chan struct{})}
	r.followed[pid] = p
	return p
}

func (r *Reaper) reap() {
	for {
		// Look without reaping first: the PID must stay taken until mu is held, or
		// Signal could hit a stranger that got the same number.
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		pid := childOf(&info)
		if err != nil || pid <= 0 {
			return
		}
		r.collect(pid)
	}
}

func (r *Reaper) collect(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var status unix.WaitStatus
	if got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err != nil || got != pid {
		return
	}
	exit := exitOf(status)
	if p := r.followed[pid]; p != nil {
		delete(r.followed, pid)
		p.exit = exit
		close(p.done)
		return
	}
	if _, known := r.orphans[pid]; !known {
		r.order = append(r.order, pid)
	}
	r.orphans[pid] = exit
	if len(r.order) > orphanMemory {
		delete(r.orphans, r.order[0])
		r.order = r.order[1:]
	}
}

// childOf reads si_pid, the first field of the union that follows three ints.
func childOf(info *unix.Siginfo) int {
	type child struct {
		signo, errno, code int32
		_                  int32
		pid                int32
	}
	return int((*child)(unsafe.Pointer(info)).pid)
}

func exitOf(status unix.WaitStatus) Exit {
	exit := Exit{Time: time.Now()}
	if status.Signaled() {
		exit.Signal = uint32(status.Signal())
		exit.Code = 128 + exit.Signal
		return exit
	}
	exit.Code = uint32(status.ExitStatus())
	return exit
}

// Signal sends a signal unless the process is already reaped; a PID is never
// reused while the reaper holds mu, because only the reaper frees it.
func (r *Reaper) Signal(p *Process, sig unix.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.followed[p.PID] != p {
		return os.ErrProcessDone
	}
	return unix.Kill(p.PID, sig)
}
