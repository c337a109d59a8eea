package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// guest is the other end, played by a test.
type guest struct {
	t    *testing.T
	conn net.Conn
}

func listenLocal(uint32) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// connected returns a client of a Windows guest that asks for nothing.
func connected(t *testing.T) (*Client, *guest) {
	t.Helper()
	host, inner := net.Pipe()
	g := &guest{t, inner}
	t.Cleanup(func() { inner.Close() })
	go g.serve(`{"Version":4,"Capabilities":{}}`)
	c, err := Connect(soon(t), Config{Wire: host, Listen: listenLocal})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, g
}

// serve answers as many requests as there are answers.
func (g *guest) serve(bodies ...string) {
	for _, body := range bodies {
		g.respond(g.request(), body)
	}
}

// request reads the host's next request; a zero one when the host is gone.
func (g *guest) request() message {
	m, err := readMessage(g.conn)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		g.t.Errorf("the guest reads: %v", err)
	}
	return m
}

func (g *guest) respond(to message, body string) {
	g.send(response|to.kind&^kindMask, to.id, body)
}

func (g *guest) send(kind messageType, id uint64, body string) {
	raw, err := encode(kind, id, json.RawMessage(body))
	if err != nil {
		g.t.Errorf("encode %s: %v", body, err)
		return
	}
	_, _ = g.conn.Write(raw) // the host may have ended the connection
}

// soon is long enough for anything within one process.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
