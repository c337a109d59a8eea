package guesttest

import (
	"io"
	"net"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/stream"
)

func (a *Agent) serveStreams(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go a.serveStream(conn)
	}
}

func (a *Agent) serveStream(conn net.Conn) {
	header, err := stream.ReadHeader(conn)
	if err != nil {
		conn.Close()
		return
	}
	if header.GetPortForward() != nil { // an echo server on every port
		stream.WriteReply(conn, &api.StreamReply{})
		io.Copy(conn, conn)
		conn.Close()
		return
	}
	stdio := header.GetStdio()
	p, err := a.process(stdio.GetContainerId(), stdio.GetExecId())
	if err != nil {
		stream.WriteError(conn, err)
		conn.Close()
		return
	}
	switch stdio.Stdio {
	case api.Stdio_STDIO_STDOUT:
		p.Stdout.Serve(conn, stdio.Offset)
	case api.Stdio_STDIO_STDERR:
		p.Stderr.Serve(conn, stdio.Offset)
	default:
		stream.WriteReply(conn, &api.StreamReply{})
		if _, err := io.Copy(p.stdinW, conn); err == nil {
			p.stdinW.Close()
		}
		conn.Close()
	}
}
