//go:build linux

package agent

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/agent/reaper"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/stream"
)

// process is an init or exec process and its stdio.
type process struct {
	stdout, stderr *stream.OutputBuffer // stderr is nil with a terminal
	terminal       *os.File             // the master side; nil without a terminal
	stdin          *input
	folder         string // of a Windows process: see package winproc; set before it is launched

	mu     sync.Mutex
	proc   *reaper.Process // nil until launched
	ended  chan struct{}   // closed when exit is known
	exit   *api.Exit
	copies []io.Closer // what the copiers of output read
}

// childStdio are the three files a new process gets; the agent closes its own
// copies once the process has them.
type childStdio [3]*os.File

func (c childStdio) close() {
	for _, f := range c {
		if f != nil {
			f.Close()
		}
	}
}

// newProcess makes a process's pipes. With a terminal the runtime itself is
// given /dev/null, and attachTerminal does the rest.
func newProcess(terminal, stdin bool, window int) (p *process, child childStdio, err error) {
	p = &process{ended: make(chan struct{}), stdout: stream.NewOutputBuffer(window), stdin: &input{}}
	defer func() {
		if err != nil {
			child.close()
			p.discard()
		}
	}()
	if terminal || !stdin {
		if child[0], err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
			return nil, child, err
		}
	}
	if terminal {
		for i := 1; i < 3; i++ {
			if child[i], err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				return nil, child, err
			}
		}
		return p, child, nil
	}
	if stdin {
		var w *os.File
		if child[0], w, err = os.Pipe(); err != nil {
			return nil, child, err
		}
		p.stdin.set(w, nil)
	}
	p.stderr = stream.NewOutputBuffer(window)
	for i, out := range []*stream.OutputBuffer{p.stdout, p.stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, child, err
		}
		child[i+1] = w
		p.copyOut(r, out)
	}
	return p, child, nil
}

// copyBuffers are used again: probes run a process every few seconds.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// copyOut moves output into its buffer until the last writer has closed it.
func (p *process) copyOut(r *os.File, out *stream.OutputBuffer) {
	p.copies = append(p.copies, r)
	go func() {
		defer out.Close()
		defer r.Close()
		// A terminal's master reads EIO when its last user is gone: an end like any other.
		buf := copyBuffers.Get().(*[]byte)
		defer copyBuffers.Put(buf)
		io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{r}, *buf)
	}()
}

// attachTerminal takes over the master side of the process's terminal.
func (p *process) attachTerminal(master *os.File, stdin bool) {
	p.terminal = master
	if stdin {
		p.stdin.set(master, endTerminalInput)
	}
	p.copyOut(master, p.stdout)
}

// endTerminalInput types end-of-file: the terminal itself must stay open for output.
func endTerminalInput(f *os.File) { f.Write([]byte{4}) }

// resize sets the terminal's size.
func (p *process) resize(width, height uint32) error {
	if p.terminal == nil {
		return wrongState("the process has no terminal")
	}
	if width > 0xffff || height > 0xffff {
		return invalid("terminal size %dx%d is out of range", width, height)
	}
	raw, err := p.terminal.SyscallConn()
	if err != nil {
		return err
	}
	var ioctlErr error
	err = raw.Control(func(fd uintptr) {
		ioctlErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)})
	})
	if err != nil {
		return wrongState("the terminal is closed: %v", err)
	}
	return ioctlErr
}

// follow waits for the process's end and records it; onEnd runs before anyone is told.
func (p *process) follow(proc *reaper.Process, onEnd func(*api.Exit)) {
	p.mu.Lock()
	p.proc = proc
	p.mu.Unlock()
	go func() {
		<-proc.Done()
		e := proc.Exit()
		exit := &api.Exit{Code: e.Code, Signal: e.Signal, EndedUnixNanos: e.Time.UnixNano()}
		defer func() {
			if cause := recover(); cause != nil {
				klog.ErrorS(nil, "end of a process", "pid", proc.PID, "panic", cause)
			}
			p.mu.Lock()
			p.exit = exit
			p.mu.Unlock()
			close(p.ended)
		}()
		onEnd(exit)
	}()
}

// ending is the process's exit, or nil while it lives.
func (p *process) ending() *api.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return 0
	}
	return p.proc.PID
}

// discard lets go of the process's stdio and whatever of it was not fetched.
func (p *process) discard() {
	p.stdin.close()
	p.stdout.Discard()
	if p.stderr != nil {
		p.stderr.Discard()
	}
	for _, c := range p.copies {
		c.Close()
	}
}
