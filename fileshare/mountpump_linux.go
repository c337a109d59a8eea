package fileshare

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/fileshare/session"
	"github.com/paddock-run/paddock/guest/fusedev"
)

const (
	// guestAnswers is how long the guest may take for a request of the node's;
	// the process that made it then gets ETIMEDOUT. Waits for locks have no limit.
	guestAnswers = 30 * time.Second
	// initAnswer is the same for the first request, while nobody sees the mount yet.
	initAnswer = 10 * time.Second
	// reconnecting is how long requests wait for a lost stream.
	reconnecting = 10 * time.Second

	mountMessage = session.MaxWrite + 4096

	fuseInHeader  = 40
	fuseOutHeader = 16

	fuseForget      = 2
	fuseInit        = 26
	fuseSetlkw      = 33
	fuseInterrupt   = 36
	fusePoll        = 40
	fuseNotifyReply = 41
	fuseBatchForget = 42
)

// mountPump carries the node's requests on one mount to the guest, and answers
// back. It passes nothing to the kernel that the kernel did not ask for, and
// keeps nobody waiting on the guest for good.
type mountPump struct {
	id    string
	dev   fusedev.Device
	dial  func(context.Context) (net.Conn, error)
	wait  time.Duration
	users sync.WaitGroup // goroutines that use dev
	ready chan struct{}  // closed by the answer to FUSE_INIT
	once  sync.Once
	ended chan struct{} // closed by finish

	mu sync.Mutex
	// what follows is guarded by mu
	conn    net.Conn // nil while there is none
	changed chan struct{}
	lostAt  time.Time
	pending map[uint64]pendingRequest
	over    bool
}

type pendingRequest struct {
	conn  net.Conn
	until time.Time // zero: no limit
}

// startMountPump takes the device over, and conn, the mount's stream. wait is
// how long the guest may take for a request: see guestAnswers.
func startMountPump(id string, wait time.Duration, dev fusedev.Device, conn net.Conn, dial func(context.Context) (net.Conn, error)) *mountPump {
	p := &mountPump{
		id: id, dev: dev, dial: dial, wait: wait, conn: conn, ready: make(chan struct{}), ended: make(chan struct{}),
		changed: make(chan struct{}), pending: map[uint64]pendingRequest{},
	}
	p.users.Add(3)
	go p.readRequests()
	go p.readReplies(conn)
	go p.expire()
	return p
}

// readRequests runs until the node has unmounted or finish is called.
func (p *mountPump) readRequests() {
	defer p.users.Done()
	defer p.finish()
	buf := make([]byte, mountMessage)
	for {
		n, err := p.dev.Read(buf)
		if err != nil || n < fuseInHeader {
			return
		}
		p.send(buf[:n])
	}
}

// send passes one request on, or fails it.
func (p *mountPump) send(msg []byte) {
	opcode, unique := binary.NativeEndian.Uint32(msg[4:]), binary.NativeEndian.Uint64(msg[8:])
	wait := p.wait
	switch opcode {
	case fusePoll:
		// A Go program's network poller may be what waits for this.
		p.fail(unique, unix.ENOSYS)
		return
	case fuseInit:
		wait = initAnswer
	case fuseSetlkw:
		wait = 0
	}
	answered := opcode != fuseForget && opcode != fuseBatchForget && opcode != fuseNotifyReply && opcode != fuseInterrupt
	conn := p.current()
	if conn == nil {
		if answered {
			p.fail(unique, unix.EIO)
		}
		return
	}
	if answered {
		r := pendingRequest{conn: conn}
		if wait > 0 {
			r.until = time.Now().Add(wait)
		}
		p.mu.Lock()
		p.pending[unique] = r
		p.mu.Unlock()
	}
	conn.SetWriteDeadline(time.Now().Add(p.wait))
	if _, err := conn.Write(msg); err != nil {
		p.lose(conn, err)
		return
	}
	p.mu.Lock()
	lost := p.conn != conn
	p.mu.Unlock()
	if lost { // while sending: its requests may have been failed before this one was noted
		p.lose(conn, errors.New("stream lost while sending"))
	}
}

// current waits for a stream, for as long as one may take to come back.
func (p *mountPump) current() net.Conn {
	for {
		p.mu.Lock()
		conn, changed, left := p.conn, p.changed, reconnecting-time.Since(p.lostAt)
		p.mu.Unlock()
		if conn != nil || left <= 0 {
			return conn
		}
		select {
		case <-changed:
		case <-time.After(left):
		case <-p.ended:
			return nil
		}
	}
}

// readReplies passes answers on until the stream ends.
func (p *mountPump) readReplies(conn net.Conn) {
	defer p.users.Done()
	in := bufio.NewReaderSize(conn, 64<<10)
	buf := make([]byte, mountMessage)
	for {
		n, err := readAnswer(in, buf)
		if err == nil {
			err = p.answer(buf[:n])
		}
		if err != nil {
			p.lose(conn, err)
			return
		}
	}
}

// readAnswer reads one whole message of the guest's into buf.
func readAnswer(in io.Reader, buf []byte) (int, error) {
	if _, err := io.ReadFull(in, buf[:fuseOutHeader]); err != nil {
		return 0, err
	}
	size := binary.NativeEndian.Uint32(buf)
	if size < fuseOutHeader || uint64(size) > uint64(len(buf)) {
		return 0, fmt.Errorf("answer of %d bytes: must be %d to %d", size, fuseOutHeader, len(buf))
	}
	_, err := io.ReadFull(in, buf[fuseOutHeader:size])
	return int(size), err
}

// answer gives the kernel what it has asked for and still waits for; notices,
// which nobody has asked for, and answers that come twice are dropped.
func (p *mountPump) answer(msg []byte) error {
	unique := binary.NativeEndian.Uint64(msg[8:])
	p.mu.Lock()
	_, asked := p.pending[unique]
	delete(p.pending, unique)
	p.mu.Unlock()
	if !asked {
		return nil
	}
	switch err := p.dev.Answer(msg); {
	case err == nil:
		p.once.Do(func() { close(p.ready) }) // the kernel sends FUSE_INIT first and waits for it
	case errors.Is(err, unix.ENOENT): // interrupted meanwhile
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EPERM):
		return err
	default:
		p.fail(unique, unix.EIO) // not an answer to that request
	}
	return nil
}

// expire fails what the guest does not answer.
func (p *mountPump) expire() {
	defer p.users.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case now := <-tick.C:
			var late []uint64
			p.mu.Lock()
			for unique, r := range p.pending {
				if !r.until.IsZero() && now.After(r.until) {
					late = append(late, unique)
					delete(p.pending, unique)
				}
			}
			p.mu.Unlock()
			for _, unique := range late {
				klog.InfoS("The guest does not answer a request of the node", "mount", p.id)
				p.fail(unique, unix.ETIMEDOUT)
			}
		}
	}
}

// lose gives a stream up, fails what was sent on it, and opens another.
func (p *mountPump) lose(conn net.Conn, why error) {
	conn.Close()
	p.mu.Lock()
	first := p.conn == conn
	if first {
		p.conn, p.lostAt = nil, time.Now()
	}
	var failed []uint64
	for unique, r := range p.pending {
		if r.conn == conn {
			failed = append(failed, unique)
			delete(p.pending, unique)
		}
	}
	again := first && !p.over
	if again {
		p.users.Add(1)
	}
	p.mu.Unlock()
	for _, unique := range failed {
		p.fail(unique, unix.EIO)
	}
	if again {
		klog.InfoS("A mount of the guest's lost its stream", "mount", p.id, "requestsFailed", len(failed), "why", why)
		go p.reopen()
	}
}

func (p *mountPump) reopen() {
	defer p.users.Done()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		select {
		case <-p.ended:
			return
		case <-time.After(pause):
		}
		ctx, cancel := context.WithTimeout(context.Background(), initAnswer)
		conn, err := p.dial(ctx)
		cancel()
		if err != nil {
			klog.V(2).InfoS("Reopen the stream of a mount", "mount", p.id, "err", err)
			continue
		}
		p.mu.Lock()
		if p.over {
			p.mu.Unlock()
			conn.Close()
			return
		}
		p.conn = conn
		close(p.changed)
		p.changed = make(chan struct{})
		p.users.Add(1)
		p.mu.Unlock()
		go p.readReplies(conn)
		return
	}
}

func (p *mountPump) fail(unique uint64, errno unix.Errno) {
	var msg [fuseOutHeader]byte
	binary.NativeEndian.PutUint32(msg[0:], fuseOutHeader)
	binary.NativeEndian.PutUint32(msg[4:], uint32(-int32(errno)))
	binary.NativeEndian.PutUint64(msg[8:], unique)
	p.dev.Answer(msg[:]) // fails if the request is gone: fine
}

// finish ends the pump, at once; what of the mount is still there then fails with ENOTCONN.
func (p *mountPump) finish() {
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return
	}
	p.over = true
	conn := p.conn
	p.conn = nil
	close(p.ended)
	p.dev.Wake()
	p.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	go func() {
		p.users.Wait()
		p.dev.Close()
	}()
}
