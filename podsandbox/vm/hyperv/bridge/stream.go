package bridge

import (
	"errors"
	"io"
	"net"
	"sync"
)

// stream is one standard stream of a process: the guest's first connection to its port.
type stream struct {
	listener net.Listener
	closed   chan struct{}
	once     sync.Once
	ready    chan struct{}
	// conn or err is set before ready is closed.
	conn net.Conn
	err  error
}

// newStream awaits the guest until its Close, or the bridge's end.
func newStream(l net.Listener, bridgeEnded <-chan struct{}) *stream {
	s := &stream{listener: l, closed: make(chan struct{}), ready: make(chan struct{})}
	go func() {
		defer close(s.ready)
		defer l.Close() // a second connection is nobody's
		s.conn, s.err = l.Accept()
	}()
	go func() {
		select {
		case <-bridgeEnded:
			l.Close()
		case <-s.ready:
		case <-s.closed:
		}
	}()
	return s
}

func (s *stream) await() (net.Conn, error) {
	<-s.ready
	return s.conn, s.err
}

// Read reads what the process writes. At its end the stream is closed: the guest
// service tells of a process's exit only when it knows that its output was read.
func (s *stream) Read(b []byte) (int, error) {
	conn, err := s.await()
	if err != nil {
		return 0, err
	}
	n, err := conn.Read(b)
	if errors.Is(err, io.EOF) {
		s.Close()
	}
	return n, err
}

// Close is of a stream that may be nil.
func (s *stream) Close() error {
	if s == nil {
		return nil
	}
	var err error
	s.once.Do(func() {
		close(s.closed)
		s.listener.Close()
		if conn, _ := s.await(); conn != nil {
			err = conn.Close()
		}
	})
	return err
}

func (s *stream) reader() io.Reader {
	if s == nil {
		return nil
	}
	return s
}

// stdin writes to a stream.
type stdin struct{ s *stream }

func (w stdin) Write(b []byte) (int, error) {
	conn, err := w.s.await()
	if err != nil {
		return 0, err
	}
	return conn.Write(b)
}

// Close ends what the process reads.
func (w stdin) Close() error {
	conn, err := w.s.await()
	if err != nil {
		return err
	}
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
