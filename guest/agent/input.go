//go:build linux

package agent

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/stream"
)

// input is a process's stdin. It outlives the connections that feed it.
type input struct {
	mu   sync.Mutex
	file *os.File       // nil: none, or ended
	end  func(*os.File) // how to tell end of file; nil: close file
	conn net.Conn       // that feeds it now
}

func (in *input) set(f *os.File, end func(*os.File)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.file, in.end = f, end
}

// serve feeds the process from conn. The half-close of conn is end of file for
// the process; a connection lost otherwise leaves stdin open for a later one.
func (in *input) serve(conn net.Conn) error {
	defer conn.Close()
	file, err := in.take(conn)
	if err != nil {
		return stream.WriteError(conn, err)
	}
	if err := stream.WriteReply(conn, &api.StreamReply{}); err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{conn}, make([]byte, 32<<10))
	if err == nil && channel.PeerPresent(conn) {
		in.finish(conn)
		return nil
	}
	var pathError *os.PathError
	if errors.As(err, &pathError) { // the process closed its stdin or ended
		channel.Abort(conn)
		return nil
	}
	return err
}

func (in *input) take(conn net.Conn) (*os.File, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.file == nil {
		return nil, wrongState("the process has no stdin, or it was closed")
	}
	if in.conn != nil {
		channel.Abort(in.conn)
	}
	in.conn = conn
	return in.file, nil
}

func (in *input) finish(conn net.Conn) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.conn != conn || in.file == nil {
		return
	}
	in.conn = nil
	if in.end != nil {
		in.end(in.file)
		return
	}
	in.file.Close()
	in.file = nil
}

func (in *input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.conn != nil {
		channel.Abort(in.conn)
		in.conn = nil
	}
	if in.file != nil && in.end == nil {
		in.file.Close()
	}
	in.file = nil
}
