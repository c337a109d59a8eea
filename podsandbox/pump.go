package podsandbox

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/logfile"
)

// outputPump carries one container's output into its log, and to who is
// attached. An attacher that does not read holds the log up for at most
// attachPatience, then it is cut off: back-pressure as usual for a terminal, but
// never a container that hangs because someone's connection does.
type outputPump struct {
	c   *container
	log *logfile.Log
	// ended is closed when all streams have ended.
	ended chan struct{}

	mu       sync.Mutex
	started  bool
	over     bool
	attached map[*attacher]struct{}
}

// attachPatience is how long a full attacher may hold up the log.
const attachPatience = 10 * time.Second

func newOutputPump(c *container, l *logfile.Log) *outputPump {
	return &outputPump{c: c, log: l, ended: make(chan struct{}), attached: map[*attacher]struct{}{}}
}

// start begins to pump; it goes on until the output, the VM or life ends.
func (m *Manager) startPump(p *outputPump) {
	p.mu.Lock()
	first := !p.started
	p.started = true
	p.mu.Unlock()
	if !first {
		return
	}
	m.spawn(func() {
		streams := []logfile.Stream{logfile.Stdout, logfile.Stderr}
		if p.c.status.Load().Config.TTY {
			streams = streams[:1]
		}
		var parts sync.WaitGroup
		for _, s := range streams {
			parts.Go(func() { p.pump(m.life, s) })
		}
		parts.Wait()
		if m.life.Err() == nil {
			p.finish(m)
		}
		p.end()
	})
}

func (p *outputPump) pump(ctx context.Context, s logfile.Stream) {
	out := &output{vm: p.c.sandbox.vm, next: p.log.Offset(s), stream: guestapi.StdioStream{ContainerId: p.c.id, Stdio: guestStdio(s)}}
	out.deliver = func(b []byte) (uint64, error) {
		durable, err := p.write(ctx, s, b)
		if err == nil {
			p.fanOut(s, b)
		}
		return durable, err
	}
	if err := out.run(ctx); err != nil && ctx.Err() == nil && p.c.sandbox.vmRuns() {
		klog.ErrorS(err, "Output of a container ends early", "container", p.c.id, "stream", s)
	}
	if ctx.Err() != nil { // what is held back is sent again to the next process
		return
	}
	if _, err := p.log.Finish(s, time.Now()); err != nil {
		klog.ErrorS(err, "Cannot write the end of a container's output", "container", p.c.id, "stream", s)
	}
}

func guestStdio(s logfile.Stream) guestapi.Stdio {
	if s == logfile.Stderr {
		return guestapi.Stdio_STDIO_STDERR
	}
	return guestapi.Stdio_STDIO_STDOUT
}

// write logs output, and tries again until it can: a full disk stops the container's output, not its log.
func (p *outputPump) write(ctx context.Context, s logfile.Stream, b []byte) (uint64, error) {
	for told := false; ; told = true {
		durable, err := p.log.Append(s, b, time.Now())
		if err == nil {
			return durable, nil
		}
		if !told {
			klog.ErrorS(err, "Cannot write a container's log; trying on", "container", p.c.id)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return durable, err
		case <-p.c.sandbox.vm.Exited():
			return durable, err
		}
	}
}

// finish notes that the log is complete.
func (p *outputPump) finish(m *Manager) {
	_, err := m.updateContainer(p.c, func(r *containerRecord) bool {
		r.LogDone = true
		return r.Phase == phaseLive
	})
	if err != nil {
		klog.ErrorS(err, "Cannot note that a log is complete", "container", p.c.id)
	}
}

// end lets attachers go.
func (p *outputPump) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for a := range p.attached {
		delete(p.attached, a)
		close(a.over)
	}
	close(p.ended)
}

func (p *outputPump) close() {
	if err := p.log.Close(); err != nil {
		klog.ErrorS(err, "Cannot close a container's log", "container", p.c.id)
	}
}

func (m *Manager) logRecordPath(id string) string {
	return filepath.Join(m.cfg.StateDir, "logs", id+".json")
}

// dropLog closes a container's log and forgets its record; the log itself is kubelet's to remove.
func (m *Manager) dropLog(c *container) error {
	c.closeLog()
	err := os.Remove(m.logRecordPath(c.id))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// ReopenLog opens the container's log path anew.
func (m *Manager) ReopenLog(_ context.Context, id string) error {
	c, err := m.container(id)
	if err != nil {
		return err
	}
	if c.state() != ContainerRunning || c.out == nil {
		return stateError(c, "its log can only be reopened while it runs")
	}
	return c.out.log.Reopen()
}
