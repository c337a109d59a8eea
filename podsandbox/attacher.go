package podsandbox

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/paddock-run/paddock/podsandbox/logfile"
)

// attacherQueue is how many pieces of output, of at most 64 KiB, an attacher may be behind.
const attacherQueue = 16

// attacher is one that watches a container's output.
type attacher struct {
	queue chan piece
	over  chan struct{} // closed by the pump: nothing more is put into the queue
	gone  chan struct{} // closed by the attacher when it stops reading
	// slow is set before over is closed on one that did not keep up.
	slow bool
}

type piece struct {
	stream logfile.Stream
	data   []byte
}

var errSlow = errors.New("attached client does not read: cut off")

// watch begins to hand out output; ok is false when there is no more.
func (p *outputPump) watch() (a *attacher, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return nil, false
	}
	a = &attacher{queue: make(chan piece, attacherQueue), over: make(chan struct{}), gone: make(chan struct{})}
	p.attached[a] = struct{}{}
	return a, true
}

func (p *outputPump) unwatch(a *attacher) {
	close(a.gone)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.attached, a)
}

// fanOut hands output to every attacher.
func (p *outputPump) fanOut(s logfile.Stream, b []byte) {
	p.mu.Lock()
	all := make([]*attacher, 0, len(p.attached))
	for a := range p.attached {
		all = append(all, a)
	}
	p.mu.Unlock()
	if len(all) == 0 {
		return
	}
	out := piece{s, bytes.Clone(b)}
	for _, a := range all {
		if a.hand(out) {
			continue
		}
		p.mu.Lock()
		if _, still := p.attached[a]; still {
			delete(p.attached, a)
			a.slow = true
			close(a.over)
		}
		p.mu.Unlock()
	}
}

// hand is false for an attacher that did not take it in time.
func (a *attacher) hand(out piece) bool {
	select {
	case a.queue <- out:
		return true
	case <-a.gone:
		return true
	default:
	}
	patience := time.NewTimer(attachPatience)
	defer patience.Stop()
	select {
	case a.queue <- out:
		return true
	case <-a.gone:
		return true
	case <-a.over:
		return true
	case <-patience.C:
		return false
	}
}

// copyOut writes what the attacher gets to the client's streams, until output or ctx ends.
func (a *attacher) copyOut(ctx context.Context, streams Streams) error {
	for {
		select {
		case out := <-a.queue:
			if err := out.write(streams); err != nil {
				return err
			}
		case <-a.over:
			return a.copyRest(streams)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// copyRest writes what is still in the queue when nothing more comes.
func (a *attacher) copyRest(streams Streams) error {
	for {
		select {
		case out := <-a.queue:
			if err := out.write(streams); err != nil {
				return err
			}
			continue
		default:
		}
		if a.slow {
			return errSlow
		}
		return nil
	}
}

func (p piece) write(streams Streams) error {
	w := streams.Stdout
	if p.stream == logfile.Stderr {
		w = streams.Stderr
	}
	if w == nil {
		return nil
	}
	_, err := w.Write(p.data)
	return err
}
