package windowsagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
)

// Folder is a folder or file of the host that the VM's guest sees.
type Folder struct {
	// Path is where, in the guest.
	Path string
	// LayerID is the GUID under which a layer of an image is known.
	LayerID string
}

// Config is what an Agent is made of.
type Config struct {
	// StateFile is where the agent notes its containers; its folder is the VM's.
	StateFile string
	// Folder tells what the VM shows its guest at an address that AttachDisk gave for
	// a folder; false: nothing.
	Folder func(controller, lun uint32) (Folder, bool)
	// Namespace is the guest's network namespace, of which containers become part; "": none yet.
	Namespace func() string
	// Processors are the VM's.
	Processors uint32
}

// Agent is one VM's. Its methods may be called concurrently.
type Agent struct {
	cfg     Config
	control *queue
	life    context.Context
	end     context.CancelFunc

	mu         sync.Mutex
	client     *bridge.Client // nil while the guest is not connected
	connected  chan struct{}  // closed when client is set
	containers map[string]*container
	making     map[string]bool // ids whose CreateContainer has not returned
	sandbox    sandbox
}

// New is an Agent with the containers that an earlier one noted. Nothing can be
// asked of the guest before Connect.
func New(cfg Config) (*Agent, error) {
	a := &Agent{cfg: cfg, connected: make(chan struct{}), containers: map[string]*container{}, making: map[string]bool{}, control: newQueue()}
	if err := a.load(); err != nil {
		return nil, fmt.Errorf("what is noted of a Windows VM's containers: %w", err)
	}
	a.life, a.end = context.WithCancel(context.Background())
	if err := a.serveControl(); err != nil {
		a.end()
		return nil, err
	}
	return a, nil
}

// Close ends the agent. What runs in the guest runs on.
func (a *Agent) Close() error {
	a.end()
	a.control.Close()
	return nil
}

// Connect gives the agent its guest, or a new connection to it: containers that run
// are found there again. The agent lets go of the client when that ends.
func (a *Agent) Connect(c *bridge.Client) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		select {
		case <-a.client.Done(): // disconnect is about to say so
			a.client, a.connected = nil, make(chan struct{})
		default:
			return errors.New("the guest is connected already")
		}
	}
	for _, ctr := range a.containers {
		if err := ctr.reopen(a, c); err != nil {
			return err
		}
	}
	a.client = c
	close(a.connected)
	go a.disconnect(c)
	return nil
}

func (a *Agent) disconnect(c *bridge.Client) {
	<-c.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client == c {
		a.client, a.connected = nil, make(chan struct{})
	}
}

// guest waits for the guest to be connected.
func (a *Agent) guest(ctx context.Context) (*bridge.Client, error) {
	for {
		a.mu.Lock()
		c, connected := a.client, a.connected
		a.mu.Unlock()
		if c != nil {
			return c, nil
		}
		select {
		case <-connected:
		case <-ctx.Done():
			return nil, status.Errorf(codes.Unavailable, "the guest service is not connected: %v", context.Cause(ctx))
		case <-a.life.Done():
			return nil, net.ErrClosed
		}
	}
}

// Client is the connection to the guest, waited for until ctx ends: for what the VM itself asks.
func (a *Agent) Client(ctx context.Context) (*bridge.Client, error) { return a.guest(ctx) }
