package windowsagent

import (
	"io"
	"net"
	"sync"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/stream"
)

// input is a process's stdin. It outlives the connections that feed it.
type input struct {
	mu   sync.Mutex
	to   io.WriteCloser // nil: none, or ended
	conn net.Conn       // that feeds it now
}

func (in *input) set(to io.WriteCloser) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.to = to
}

// serve feeds the process from conn. The half-close of conn is end of file for the
// process; a whole close leaves stdin open for a later one.
func (in *input) serve(conn *duplex) {
	defer conn.Close()
	to, err := in.take(conn)
	if err != nil {
		_ = stream.WriteError(conn, err) // to one who may have gone
		return
	}
	if stream.WriteReply(conn, &api.StreamReply{}) != nil {
		return
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{conn}, make([]byte, 32<<10)); err != nil {
		return // the process reads no more
	}
	if conn.peerReads() {
		in.finish(conn)
	}
}

func (in *input) take(conn net.Conn) (io.Writer, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.to == nil {
		return nil, wrongState("the process has no stdin, or it was closed")
	}
	if in.conn != nil {
		in.conn.Close()
	}
	in.conn = conn
	return in.to, nil
}

func (in *input) finish(conn net.Conn) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.conn != conn || in.to == nil {
		return
	}
	in.conn = nil
	in.to.Close()
	in.to = nil
}

func (in *input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.conn != nil {
		in.conn.Close()
		in.conn = nil
	}
	in.to = nil
}
