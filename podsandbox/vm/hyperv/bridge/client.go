package bridge

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// Config is what a Client is made of.
type Config struct {
	// Wire is the guest's connection to BridgeService. The client closes it.
	Wire io.ReadWriteCloser
	// Listen awaits the VM's guest, and nobody else, on a vsock port; a Windows guest
	// calls it by the GUID of that port's template.
	Listen func(port uint32) (net.Listener, error)
	// Address is the VM's RuntimeId, which Windows guests are told.
	Address string
	// TimeZone is a Windows guest's; nil: it keeps what it has.
	TimeZone *schema.TimeZone
	// Reconnected tells that the VM has had a bridge before.
	Reconnected bool
}

// Client is a guest's bridge. Its methods may be called concurrently.
//
// A call ends with its context. What a guest does of it afterwards is undone when
// the guest says so: a container is shut down, a process killed.
type Client struct {
	// Guest is what the guest said of itself.
	Guest Capabilities

	conn   *connection
	listen func(port uint32) (net.Listener, error)

	mu         sync.Mutex
	nextPort   uint32
	containers map[string]*Container // those that have not ended
}

// firstPort is that of the first process's stream, as with hcsshim.
const firstPort = 0x40000001

// Connect negotiates and prepares the guest. It closes cfg.Wire if it fails.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	c := &Client{listen: cfg.Listen, nextPort: firstPort, containers: make(map[string]*Container)}
	c.conn = newConnection(cfg.Wire, c.exited)
	go c.endContainers()
	if err := c.prepare(ctx, cfg); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) prepare(ctx context.Context, cfg Config) error {
	var resp negotiateAnswer
	req := &negotiateRequest{target: to(NullID), MinimumVersion: version, MaximumVersion: version}
	if err := c.conn.call(ctx, negotiateProtocol, req, &resp, nil); err != nil {
		return err
	}
	if resp.Version != version {
		return fmt.Errorf("%w: it chose version %d of the protocol, offered was %d", ErrProtocol, resp.Version, version)
	}
	c.Guest = resp.Capabilities
	if cfg.Reconnected {
		return nil
	}
	if c.Guest.SendHostCreateMessage {
		if err := c.startHost(ctx, cfg.TimeZone); err != nil {
			return err
		}
	}
	if c.Windows() && cfg.Address != "" {
		return c.Modify(ctx, Addresses(cfg.Address))
	}
	return nil
}

func (c *Client) startHost(ctx context.Context, zone *schema.TimeZone) error {
	host := struct {
		SystemType          string
		TimeZoneInformation *schema.TimeZone `json:",omitempty"`
	}{SystemType: "Container"}
	if c.Windows() {
		host.TimeZoneInformation = zone
	}
	if err := c.conn.call(ctx, create, &createRequest{to(NullID), text[any]{host}}, &answer{}, nil); err != nil {
		return err
	}
	if !c.Guest.SendHostStartMessage {
		return nil
	}
	return c.conn.call(ctx, start, to(NullID), &answer{}, nil)
}

// Windows tells the guest's kind.
func (c *Client) Windows() bool {
	return c.Guest.RuntimeOsType == "" || strings.EqualFold(c.Guest.RuntimeOsType, "windows")
}

// Modify changes the VM's own settings.
func (c *Client) Modify(ctx context.Context, m Modification) error {
	return c.conn.call(ctx, modifySettings, &modifyRequest{to(NullID), m}, &answer{}, nil)
}

// Execute starts a process in the VM, outside of any container.
func (c *Client) Execute(ctx context.Context, p ProcessParameters) (*Process, error) {
	return c.execute(ctx, NullID, p)
}

// Stacks is what the guest service itself is doing, for people.
func (c *Client) Stacks(ctx context.Context) (string, error) {
	var resp stacksAnswer
	err := c.conn.call(ctx, dumpStacks, to(NullID), &resp, nil)
	return resp.GuestStacks, err
}

// Done is closed when the bridge has ended.
func (c *Client) Done() <-chan struct{} { return c.conn.done }

// Err tells why Done is closed: ErrLost, ErrProtocol, or net.ErrClosed after Close; nil before.
func (c *Client) Err() error { return c.conn.reason() }

// Close ends the bridge. What runs in the guest runs on.
func (c *Client) Close() error {
	c.conn.close()
	return nil
}

// ports takes n ports in a row.
func (c *Client) ports(n uint32) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.nextPort
	c.nextPort += n
	if c.nextPort < first { // round the end: those of long ago are free again
		first, c.nextPort = firstPort, firstPort+n
	}
	return first
}
