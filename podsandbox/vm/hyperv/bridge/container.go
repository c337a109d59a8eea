package bridge

import (
	"context"
	"encoding/json"
	"fmt"
)

// ExitType is how a container ended.
type ExitType string

// How containers end. A guest may have others.
const (
	GracefulExit   ExitType = "GracefulExit"
	ForcedExit     ExitType = "ForcedExit"
	UnexpectedExit ExitType = "UnexpectedExit"
)

// Container is one in the guest.
type Container struct {
	client *Client
	id     string
	exited chan struct{}
	// exit and err are set before exited is closed.
	exit ExitType
	err  error
}

// CreateContainer makes one of a HostedSystem document. Its id is a GUID in Windows guests.
func (c *Client) CreateContainer(ctx context.Context, id string, document any) (*Container, error) {
	ctr, err := c.OpenContainer(id)
	if err != nil {
		return nil, err
	}
	late := func(body []byte) {
		var a answer
		if json.Unmarshal(body, &a) == nil && a.Result == 0 {
			_ = c.conn.call(context.Background(), shutdownForced, to(id), &answer{}, nil) // ends with the connection
		}
		c.drop(ctr)
	}
	err = c.conn.call(ctx, create, &createRequest{to(id), text[any]{document}}, &answer{}, late)
	if err != nil {
		c.drop(ctr)
		return nil, fmt.Errorf("create container %s: %w", id, err)
	}
	return ctr, nil
}

// OpenContainer is a handle to one that was created through a bridge before this.
func (c *Client) OpenContainer(id string) (*Container, error) {
	ctr := &Container{client: c, id: id, exited: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.containers == nil {
		return nil, fmt.Errorf("container %s: %w", id, c.conn.reason())
	}
	if c.containers[id] != nil {
		return nil, fmt.Errorf("container %s is open already", id)
	}
	c.containers[id] = ctr
	return ctr, nil
}

// drop forgets a container that came to nothing.
func (c *Client) drop(ctr *Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.containers[ctr.id] == ctr {
		delete(c.containers, ctr.id)
	}
}

// exited hands the guest's word on. A container that nobody opened is of no interest.
func (c *Client) exited(n exitNotification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctr := c.containers[n.ContainerID]
	if ctr == nil {
		return
	}
	delete(c.containers, n.ContainerID)
	ctr.exit = ExitType(n.Type)
	close(ctr.exited)
}

// endContainers tells everybody who waits that the bridge has ended.
func (c *Client) endContainers() {
	<-c.conn.done
	err := c.conn.reason()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ctr := range c.containers {
		ctr.err = err
		close(ctr.exited)
	}
	c.containers = nil
}

// ID is the container's.
func (ctr *Container) ID() string { return ctr.id }

// Exited is closed when the container has ended, or the bridge: see Exit.
func (ctr *Container) Exited() <-chan struct{} { return ctr.exited }

// Exit tells how the container ended, or why that is not known. It must not be
// called before Exited is closed.
func (ctr *Container) Exit() (ExitType, error) { return ctr.exit, ctr.err }

// Start starts the container itself; processes are started by Execute.
func (ctr *Container) Start(ctx context.Context) error { return ctr.ask(ctx, start) }

// Execute starts a process in the container.
func (ctr *Container) Execute(ctx context.Context, p ProcessParameters) (*Process, error) {
	return ctr.client.execute(ctx, ctr.id, p)
}

// Modify changes the container's settings.
func (ctr *Container) Modify(ctx context.Context, m Modification) error {
	return ctr.client.conn.call(ctx, modifySettings, &modifyRequest{to(ctr.id), m}, &answer{}, nil)
}

// Properties asks for the kinds of properties given.
func (ctr *Container) Properties(ctx context.Context, kinds ...PropertyType) (Properties, error) {
	var resp propertiesAnswer
	req := &propertiesRequest{to(ctr.id), text[propertyQuery]{propertyQuery{kinds}}}
	err := ctr.client.conn.call(ctx, getProperties, req, &resp, nil)
	return resp.Properties.Value, err
}

// Shutdown asks the container to end; Exited tells when it has, if it ever does.
func (ctr *Container) Shutdown(ctx context.Context) error { return ctr.ask(ctx, shutdownGraceful) }

// Terminate ends the container; Exited tells when it has.
func (ctr *Container) Terminate(ctx context.Context) error { return ctr.ask(ctx, shutdownForced) }

// Delete has the guest forget a container that ended. Only guests whose
// capabilities say so know this call.
func (ctr *Container) Delete(ctx context.Context) error { return ctr.ask(ctx, deleteState) }

func (ctr *Container) ask(ctx context.Context, p procedure) error {
	return ctr.client.conn.call(ctx, p, to(ctr.id), &answer{}, nil)
}
