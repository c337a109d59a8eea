package client

import (
	"context"
	"fmt"
	"net"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/stream"
)

// OpenStream opens a connection on the stream port. A refusal of the guest
// keeps its gRPC code (status.Code). ctx bounds the opening only.
func (c *Client) OpenStream(ctx context.Context, header *api.StreamHeader) (net.Conn, *api.StreamReply, error) {
	conn, reply, err := stream.Connect(ctx, c.dialStream, header)
	if err != nil {
		return nil, nil, fmt.Errorf("open a stream to the guest: %w", err)
	}
	return conn, reply, nil
}

func (c *Client) dialStream(ctx context.Context) (net.Conn, error) {
	return c.dial(ctx, api.StreamPort)
}

// OpenPort connects to a TCP port of the pod's localhost.
func (c *Client) OpenPort(ctx context.Context, port uint16) (net.Conn, error) {
	conn, _, err := c.OpenStream(ctx, &api.StreamHeader{Kind: &api.StreamHeader_PortForward{
		PortForward: &api.PortForwardStream{Port: uint32(port)},
	}})
	return conn, err
}

// OpenStdin connects to a process's stdin; the connection's CloseWrite is end of file for it.
func (c *Client) OpenStdin(ctx context.Context, containerID, execID string) (net.Conn, error) {
	conn, _, err := c.OpenStream(ctx, &api.StreamHeader{Kind: &api.StreamHeader_Stdio{
		Stdio: &api.StdioStream{ContainerId: containerID, ExecId: execID, Stdio: api.Stdio_STDIO_STDIN},
	}})
	return conn, err
}

// OpenOutput reads a process's stdout or stderr; see stream.OpenOutput.
func (c *Client) OpenOutput(ctx context.Context, s *api.StdioStream) (*stream.OutputReader, error) {
	return stream.OpenOutput(ctx, c.dialStream, s)
}
