package guestsockets

import (
	"errors"
	"net"
	"sync"
)

// listener is one that its Sockets close.
type listener struct {
	sockets *Sockets

	mu     sync.Mutex
	inner  net.Listener // nil until set
	closed bool
}

// set tells whether the listener is still wanted.
func (l *listener) set(inner net.Listener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.inner = inner
	return true
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.inner.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, sockets: l.sockets}
		err = l.sockets.add(c)
		if err == nil {
			return c, nil
		}
		inner.Close()
		if !errors.Is(err, ErrTooMany) {
			return nil, err
		}
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.inner.Addr() }

// Close implements net.Listener. Connections live on.
func (l *listener) Close() error {
	l.sockets.drop(l)
	return l.shut()
}

func (l *listener) shut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.inner == nil {
		l.closed = true
		return nil
	}
	l.closed = true
	return l.inner.Close()
}

// conn is a connection that its Sockets close.
type conn struct {
	net.Conn
	sockets *Sockets
	once    sync.Once
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.sockets.drop(c)
	return c.shut()
}

func (c *conn) shut() (err error) {
	c.once.Do(func() { err = c.Conn.Close() })
	return err
}

// CloseWrite ends what the guest reads; errors.ErrUnsupported if the socket cannot.
func (c *conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
