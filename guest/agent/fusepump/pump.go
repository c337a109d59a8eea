//go:build linux

package fusepump

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/fusedev"
	"github.com/paddock-run/paddock/guest/sharechange"
)

const (
	inHeaderSize    = 40
	outHeaderSize   = 16
	headerRoom      = 4096
	defaultMaxWrite = 128 << 10
	maxMaxWrite     = 16 << 20

	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opReadlink    = 5
	opOpen        = 14
	opStatfs      = 17
	opGetxattr    = 22
	opListxattr   = 23
	opInit        = 26
	opOpendir     = 27
	opAccess      = 34
	opInterrupt   = 36
	opPoll        = 40
	opNotifyReply = 41
	opBatchForget = 42

	// helloUnique is the number of our own FUSE_INIT; the kernel's numbers of requests are even.
	helloUnique = 1
)

var errStopped = errors.New("share is unmounted")

// pump copies the messages of one mounted share.
type pump struct {
	target  string
	bufSize int
	dev     fusedev.Device
	users   sync.WaitGroup // goroutines that use dev
	once    sync.Once
	ready   chan struct{} // closed by the first answer, that of FUSE_INIT
	stopped chan struct{}

	replayer    *replayer
	replay      atomic.Pointer[replay] // what the replayer does now
	madeUpNodes uint64                 // of readRequests

	mu sync.Mutex
	// what follows is guarded by mu
	link    *link         // the stream in use, nil while there is none
	changed chan struct{} // closed when link changes
	lostAt  time.Time
	pending map[uint64]request // sent and not answered
	init    []byte             // the kernel's FUSE_INIT
	ended   bool
}

// request is one of the kernel's.
type request struct {
	link    *link
	opcode  uint32
	instead []byte // if set: the answer, should the host's be an error
}

// failure is what a request gets whose answer is lost. Whether the host has done
// it is unknown, so it is an I/O error; unless it changes nothing: then it is
// ESTALE, at which the kernel looks the path up anew.
func (r request) failure() unix.Errno {
	switch r.opcode {
	case opLookup, opGetattr, opReadlink, opOpen, opStatfs, opGetxattr, opListxattr, opOpendir, opAccess:
		return unix.ESTALE
	}
	return unix.EIO
}

// link is one stream of a share.
type link struct {
	conn net.Conn

	mu sync.Mutex // held to write one whole message
	// hello is to be written first, once: guarded by mu.
	hello []byte
}

// write sends one whole message.
func (l *link) write(msg []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hello != nil {
		if _, err := l.conn.Write(l.hello); err != nil {
			return err
		}
		l.hello = nil
	}
	_, err := l.conn.Write(msg)
	return err
}

// hello is a FUSE_INIT like the kernel's, which a server that is new must have first.
func hello(init []byte) []byte {
	if init == nil {
		return nil
	}
	msg := bytes.Clone(init)
	binary.NativeEndian.PutUint64(msg[8:], helloUnique)
	return msg
}

func newPump(target string, readOnly, rootIsFile bool, maxWrite uint32, w *watches) (*pump, error) {
	if maxWrite == 0 {
		maxWrite = defaultMaxWrite
	}
	if maxWrite > maxMaxWrite {
		return nil, fmt.Errorf("max write of %d bytes: at most %d", maxWrite, maxMaxWrite)
	}
	dev, clone, err := mountFUSE(target, readOnly, rootIsFile, maxWrite)
	if err != nil {
		return nil, err
	}
	p := &pump{
		target:  target,
		bufSize: int(maxWrite) + headerRoom,
		dev:     dev,
		ready:   make(chan struct{}),
		stopped: make(chan struct{}),
		changed: make(chan struct{}),
		pending: map[uint64]request{},
	}
	if p.replayer, err = startReplayer(p, clone, w); err != nil {
		unix.Close(clone)
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *pump) waitReady(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.stopped:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pump) isStopped() bool {
	select {
	case <-p.stopped:
		return true
	default:
		return false
	}
}

// connect makes conn the share's stream. Requests sent on the former one fail.
func (p *pump) connect(conn net.Conn) {
	p.mu.Lock()
	l := &link{conn: conn, hello: hello(p.init)}
	if p.ended {
		p.mu.Unlock()
		conn.Close()
		return
	}
	old := p.link
	p.setLink(l)
	p.users.Add(1)
	p.mu.Unlock()
	go func() {
		defer p.users.Done()
		if old != nil {
			p.lose(old, errors.New("replaced by a newer stream"))
		}
		p.readReplies(l)
	}()
}

// setLink changes the stream in use. mu is held.
func (p *pump) setLink(l *link) {
	p.link = l
	close(p.changed)
	p.changed = make(chan struct{})
}

// lose gives a stream up and fails what was sent on it.
func (p *pump) lose(l *link, why error) {
	l.conn.Close()
	p.mu.Lock()
	if p.link == l {
		p.lostAt = time.Now()
		p.setLink(nil)
	}
	failed := map[uint64]request{}
	for unique, r := range p.pending {
		if r.link == l {
			failed[unique] = r
			delete(p.pending, unique)
		}
	}
	ended := p.ended
	p.mu.Unlock()
	if !ended {
		klog.InfoS("Share lost its stream", "target", p.target, "requestsFailed", len(failed), "why", why)
	}
	for unique, r := range failed {
		p.replyError(unique, r.failure())
	}
}

// current waits for a stream, up to ReconnectTimeout after the last was lost.
func (p *pump) current() (*link, error) {
	for {
		p.mu.Lock()
		l, changed, left := p.link, p.changed, ReconnectTimeout-time.Since(p.lostAt)
		p.mu.Unlock()
		if l != nil {
			return l, nil
		}
		if left <= 0 {
			return nil, errors.New("no stream from the host")
		}
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		case <-p.stopped:
			timer.Stop()
			return nil, errStopped
		}
		timer.Stop()
	}
}

// readRequests copies requests of the kernel to the stream until the mount is gone.
func (p *pump) readRequests() {
	defer p.users.Done()
	buf := make([]byte, p.bufSize)
	for {
		n, err := p.dev.Read(buf)
		if err != nil || n < inHeaderSize {
			return // unmounted, aborted or stopped
		}
		p.send(buf[:n])
	}
}

// send passes one request on, or fails it.
func (p *pump) send(msg []byte) {
	opcode := binary.NativeEndian.Uint32(msg[4:])
	unique := binary.NativeEndian.Uint64(msg[8:])
	if opcode == opPoll {
		// Go's epoll_ctl on a file of the mount blocks its netpoller until this
		// is answered; an answer that came through the netpoller would never
		// arrive. Files of a share are always ready, as ENOSYS says.
		p.replyError(unique, unix.ENOSYS)
		return
	}
	if p.answerReplay(msg) {
		return
	}
	p.pass(msg, opcode, nil)
}

// pass sends one request on the stream, or fails it. instead: see request.
func (p *pump) pass(msg []byte, opcode uint32, instead []byte) {
	unique := binary.NativeEndian.Uint64(msg[8:])
	// An interrupt is answered only when it came too early; nothing waits for it.
	answered := opcode != opForget && opcode != opBatchForget && opcode != opNotifyReply && opcode != opInterrupt
	l, err := p.current()
	if err != nil {
		if answered {
			p.replyError(unique, unix.EIO)
		}
		return
	}
	if answered {
		p.mu.Lock()
		p.pending[unique] = request{l, opcode, instead}
		if opcode == opInit {
			p.init = bytes.Clone(msg)
		}
		p.mu.Unlock()
	}
	if err = l.write(msg); err == nil {
		p.mu.Lock()
		current := p.link == l
		p.mu.Unlock()
		if current {
			return
		}
		err = errors.New("stream lost while sending")
	}
	p.lose(l, err)
}

// readReplies copies the host's answers and notices to the kernel until the stream ends.
func (p *pump) readReplies(l *link) {
	in := bufio.NewReaderSize(l.conn, 64<<10)
	buf := make([]byte, p.bufSize)
	for {
		n, err := readReply(in, buf)
		if err != nil {
			p.lose(l, err)
			return
		}
		unique := binary.NativeEndian.Uint64(buf[8:])
		answer := buf[:n]
		switch {
		case unique == helloUnique:
			continue
		case unique == 0:
			if sharechange.Is(answer) {
				p.replayer.add(answer)
			}
			continue
		}
		p.mu.Lock()
		r := p.pending[unique]
		delete(p.pending, unique)
		p.mu.Unlock()
		if r.instead != nil && binary.NativeEndian.Uint32(answer[4:]) != 0 {
			answer = r.instead
		}
		// ENOENT: the request was interrupted or failed meanwhile.
		if err := p.dev.Answer(answer); err != nil && !errors.Is(err, unix.ENOENT) {
			if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EPERM) {
				p.lose(l, err)
				return
			}
			klog.ErrorS(err, "Kernel refused an answer of the host", "target", p.target, "length", n)
			p.replyError(unique, unix.EIO)
		}
		p.once.Do(func() { close(p.ready) })
	}
}

// readReply reads one whole message of the host into buf and returns its length.
func readReply(in *bufio.Reader, buf []byte) (int, error) {
	if _, err := io.ReadFull(in, buf[:outHeaderSize]); err != nil {
		return 0, err
	}
	size := binary.NativeEndian.Uint32(buf)
	if size < outHeaderSize || uint64(size) > uint64(len(buf)) {
		return 0, fmt.Errorf("answer of %d bytes: must be %d to %d", size, outHeaderSize, len(buf))
	}
	_, err := io.ReadFull(in, buf[outHeaderSize:size])
	return int(size), err
}

func (p *pump) replyError(unique uint64, errno unix.Errno) {
	var msg [outHeaderSize]byte
	binary.NativeEndian.PutUint32(msg[0:], outHeaderSize)
	binary.NativeEndian.PutUint32(msg[4:], uint32(-int32(errno)))
	binary.NativeEndian.PutUint64(msg[8:], unique)
	p.dev.Answer(msg[:]) // fails if the request is gone: fine
}

// stop unmounts and ends the pump. Files still open in the guest get ENOTCONN
// once the device is closed, which aborts the mount.
func (p *pump) stop() error {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return nil
	}
	p.ended = true
	l := p.link
	p.setLink(nil)
	close(p.stopped)
	p.mu.Unlock()
	err := unix.Unmount(p.target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err == unix.EINVAL || err == unix.ENOENT {
		err = nil // gone already
	}
	if l != nil {
		l.conn.Close()
	}
	go func() {
		if p.replayer != nil {
			<-p.replayer.done // it may wait for an answer
		}
		p.dev.Wake()
		p.users.Wait()
		p.dev.Close()
	}()
	return err
}
