package cri

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
)

// cancelOnHangup ends a request's context when its client goes away. net/http
// does so only until a handler takes the connection over, and an exec without
// input or output would never notice.
func cancelOnHangup(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		hw := &hangupWriter{ResponseWriter: w, cancel: cancel}
		if strings.HasPrefix(strings.ToUpper(r.Header.Get("Upgrade")), "SPDY/") {
			hw.spdy = &goAwayWatch{cancel: cancel}
		}
		next.ServeHTTP(hw, r.WithContext(ctx))
	})
}

// hangupWriter hands out connections that report their end.
type hangupWriter struct {
	http.ResponseWriter
	cancel context.CancelFunc
	spdy   *goAwayWatch // nil for other protocols
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *hangupWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush passes on to the writer below.
func (w *hangupWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Hijack takes the connection over. What net/http has read ahead comes first.
func (w *hangupWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := &hangupConn{Conn: conn, ahead: rw.Reader, cancel: w.cancel, spdy: w.spdy}
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// hangupConn cancels at the end of what the client sends. Whoever serves a
// stream protocol reads all the time, so the end is seen at once.
type hangupConn struct {
	net.Conn
	ahead  *bufio.Reader
	cancel context.CancelFunc
	spdy   *goAwayWatch
}

func (c *hangupConn) Read(p []byte) (int, error) {
	n, err := c.ahead.Read(p)
	if c.spdy != nil {
		c.spdy.observe(p[:n])
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.cancel()
	}
	return n, err
}
