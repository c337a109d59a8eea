package channel

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// pipe stands for a VM's byte pipe: the guest's end stays, hosts come and go at
// the other. What a host has sent before it was cut off is still delivered.
type pipe struct {
	mu      sync.Mutex
	changed sync.Cond
	toGuest []byte
	host    net.Conn // nil: none is connected
	closed  bool
	tell    bool // reads report that the host is away, as virtio-serial's do
}

func newPipe(tell bool) *pipe {
	p := &pipe{tell: tell}
	p.changed.L = &p.mu
	return p
}

// connect gives a new host's end, of which only the first limit bytes arrive; limit < 0: all.
// gone is closed when the host has been cut off.
func (p *pipe) connect(t testing.TB, limit int) (host net.Conn, gone chan struct{}) {
	host, far := socketPair(t)
	gone = make(chan struct{})
	p.mu.Lock()
	p.host = far
	p.changed.Broadcast()
	p.mu.Unlock()
	go func() {
		defer close(gone)
		buf := make([]byte, 4096)
		for limit != 0 {
			b := buf
			if limit > 0 {
				b = buf[:min(limit, len(buf))]
			}
			n, err := far.Read(b)
			if limit > 0 {
				limit -= n
			}
			p.mu.Lock()
			p.toGuest = append(p.toGuest, b[:n]...)
			p.changed.Broadcast()
			p.mu.Unlock()
			if err != nil {
				break
			}
		}
		p.mu.Lock()
		p.host = nil
		p.changed.Broadcast()
		p.mu.Unlock()
		far.Close()
	}()
	return host, gone
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.toGuest) == 0 {
		switch {
		case p.closed:
			return 0, net.ErrClosed
		case p.host == nil && p.tell:
			return 0, nil
		}
		p.changed.Wait()
	}
	n := copy(b, p.toGuest)
	p.toGuest = p.toGuest[n:]
	return n, nil
}

// Write waits for a host; what is written to one that dies is lost in part.
func (p *pipe) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		p.mu.Lock()
		for p.host == nil && !p.closed {
			p.changed.Wait()
		}
		h, closed := p.host, p.closed
		p.mu.Unlock()
		if closed {
			return n, net.ErrClosed
		}
		m, err := h.Write(b[n:])
		if n += m; err != nil {
			n = min(len(b), n+7) // lost
			p.mu.Lock()
			if p.host == h {
				p.host = nil
			}
			p.mu.Unlock()
		}
	}
	return len(b), nil
}

func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
	return nil
}

// echo serves every connection of a listener, until the guest has gone.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := io.Copy(c, c); err == nil {
				c.(CloseWriter).CloseWrite()
			}
		}()
	}
}

// converse is a short conversation: open, data both ways, half-closes, close.
func converse(d Dialer, t testing.TB) error {
	c, err := d.Dial(testContext(t), 7)
	if err != nil {
		return err
	}
	defer c.Close()
	const text = "a conversation that may be cut off"
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	if err := c.(CloseWriter).CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != text {
		t.Fatalf("echo: %q", got)
	}
	return err
}

// TestHostKilledAtEveryByte cuts hosts off after every number of bytes that a
// conversation has, over one pipe and one guest, and wants each next host to be served.
func TestHostKilledAtEveryByte(t *testing.T) {
	for _, tell := range []bool{false, true} {
		name := map[bool]string{false: "guest is not told", true: "guest is told"}[tell]
		t.Run(name, func(t *testing.T) {
			p := newPipe(tell)
			g := NewGuestMux(&port{f: p})
			defer func() { g.Close(); <-g.Done() }()
			l, err := g.Listen(7)
			if err != nil {
				t.Fatal(err)
			}
			go echo(l)
			const most = maxFrame + greetingLen + 200
			step := 1
			if testing.Short() {
				step = 7
			}
			// Within the padding every place is like every other.
			for _, span := range [][2]int{{1, 40}, {maxFrame - 3, most}} {
				for cut := span[0]; cut < span[1]; cut += step {
					cutOff(t, p, cut)
				}
			}
		})
	}
}

// cutOff lets one host be cut off after n bytes, and the next one converse in full.
func cutOff(t *testing.T, p *pipe, n int) {
	t.Helper()
	wire, gone := p.connect(t, n)
	if d, err := NewHostMux(testContext(t), wire); err == nil {
		converse(d, t)
		d.Close()
	}
	<-gone
	wire, gone = p.connect(t, -1)
	d, err := NewHostMux(testContext(t), wire)
	if err != nil {
		t.Fatalf("host after one cut off at byte %d: %v", n, err)
	}
	if err := converse(d, t); err != nil {
		t.Fatalf("conversation after a host cut off at byte %d: %v", n, err)
	}
	d.Close()
	<-gone
}

// TestForeignBytesAreNeverDelivered completes a frame that was cut off with every kind of filling.
func TestForeignBytesAreNeverDelivered(t *testing.T) {
	n := newNonce()
	c := newCodec(n, fromHost)
	whole := c.appendFrame(nil, frameData, 1, []byte("payload that must not be mixed"))
	other := newCodec(newNonce(), fromHost)
	fillings := map[string][]byte{
		"zeros": make([]byte, 2*maxFrame),
		"ones":  bytesOf(0xff, 2*maxFrame),
		"frame": other.appendFrame(make([]byte, 0, 200), frameData, 1, make([]byte, 100)),
	}
	for name, fill := range fillings {
		for cut := range whole {
			in := newCodec(n, fromHost)
			r := readerOf(append(append([]byte{}, whole[:cut]...), fill...))
			if f, err := in.read(r); err == nil {
				t.Fatalf("%s after %d bytes: delivered %v", name, cut, f)
			} else if !errors.Is(err, ErrProtocol) && !errors.Is(err, io.EOF) {
				t.Fatalf("%s after %d bytes: %v", name, cut, err)
			}
		}
	}
}
