package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
)

// ErrProtocol: host and guest speak no common version of the protocol.
var ErrProtocol = errors.New("host and guest image do not fit together")

// ErrLost is Err of a connection that ended by itself.
var ErrLost = errors.New("connection to the guest's agent is lost")

// Dial connects to a port of the guest.
type Dial func(ctx context.Context, port uint32) (net.Conn, error)

// Client is one control connection. Its methods may be called concurrently.
// Errors of calls keep their gRPC code (status.Code).
type Client struct {
	api.AgentService
	// Guest is what the agent said of itself.
	Guest *api.HandshakeResponse

	dial  Dial
	ttrpc *ttrpc.Client
	done  chan struct{}

	mu  sync.Mutex
	err error
}

// Connect dials the agent and does the handshake. hostVersion is for the
// guest's messages. ctx bounds the connecting only.
func Connect(ctx context.Context, dial Dial, hostVersion string) (*Client, error) {
	conn, err := dial(ctx, api.ControlPort)
	if err != nil {
		return nil, fmt.Errorf("dial the guest's agent: %w", err)
	}
	c := &Client{dial: dial, done: make(chan struct{})}
	c.ttrpc = ttrpc.NewClient(conn, ttrpc.WithOnClose(sync.OnceFunc(func() { c.end(ErrLost) })))
	c.AgentService = api.NewAgentClient(c.ttrpc)
	if err := c.handshake(ctx, hostVersion); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) handshake(ctx context.Context, hostVersion string) (err error) {
	c.Guest, err = c.Handshake(ctx, &api.HandshakeRequest{
		ProtocolMin: api.ProtocolMin, ProtocolMax: api.ProtocolMax, HostVersion: hostVersion,
	})
	if status.Code(err) == codes.FailedPrecondition {
		return fmt.Errorf("%w: %s", ErrProtocol, status.Convert(err).Message())
	}
	if err != nil {
		return fmt.Errorf("handshake with the guest's agent: %w", err)
	}
	if p := c.Guest.Protocol; p < api.ProtocolMin || p > api.ProtocolMax {
		return fmt.Errorf("%w: agent %s chose protocol %d, offered were %d to %d",
			ErrProtocol, c.Guest.AgentVersion, p, api.ProtocolMin, api.ProtocolMax)
	}
	return nil
}

// Done is closed when the connection is lost or closed. Streams live on.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err tells why Done is closed: ErrLost, or net.ErrClosed after Close; nil before.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection. What runs in the guest runs on.
func (c *Client) Close() error {
	c.end(net.ErrClosed)
	return c.ttrpc.Close()
}

func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}
