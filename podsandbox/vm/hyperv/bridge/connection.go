package bridge

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// connection matches the guest's responses to requests.
type connection struct {
	wire     io.ReadWriteCloser
	outgoing chan []byte
	done     chan struct{}
	// exited is told of containers that ended.
	exited func(exitNotification)

	mu     sync.Mutex
	nextID uint64
	calls  map[uint64]*call
	err    error // why done is closed
}

// call is a request without a response.
type call struct {
	procedure procedure
	response  chan []byte // takes one
	abandoned bool        // its caller has gone
	// late undoes what a response tells that nobody waits for any more; may be nil.
	late func(body []byte)
}

func newConnection(wire io.ReadWriteCloser, exited func(exitNotification)) *connection {
	c := &connection{
		wire: wire, exited: exited,
		outgoing: make(chan []byte), done: make(chan struct{}),
		nextID: 1, calls: make(map[uint64]*call),
	}
	go func() { c.end(c.receive()) }()
	go c.send()
	return c
}

// end closes the connection; the first reason stays.
func (c *connection) end(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = reason
	close(c.done)
	c.wire.Close()
}

func (c *connection) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *connection) send() {
	for {
		select {
		case <-c.done:
			return
		case raw := <-c.outgoing:
			if _, err := c.wire.Write(raw); err != nil {
				c.end(fmt.Errorf("%w: write: %w", ErrLost, err))
				return
			}
		}
	}
}

// receive returns why it ended.
func (c *connection) receive() error {
	r := bufio.NewReader(c.wire)
	for {
		m, err := readMessage(r)
		switch {
		case err == nil:
			err = c.handle(m)
		case !errors.Is(err, ErrProtocol):
			err = fmt.Errorf("%w: read: %w", ErrLost, err)
		}
		if err != nil {
			return err
		}
	}
}

func (c *connection) handle(m message) error {
	switch m.kind & kindMask {
	case response:
		return c.answer(m)
	case notification:
		if m.kind != containerExited {
			return nil // a newer guest's
		}
		var n exitNotification
		if err := json.Unmarshal(m.body, &n); err != nil {
			return fmt.Errorf("%w: a notification: %w", ErrProtocol, err)
		}
		c.exited(n)
		return nil
	}
	return fmt.Errorf("%w: a message of type %#x", ErrProtocol, uint32(m.kind))
}

func (c *connection) answer(m message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	pending := c.calls[m.id]
	if pending == nil {
		return fmt.Errorf("%w: a response to request %d, which is not waiting for one", ErrProtocol, m.id)
	}
	if want := response | messageType(pending.procedure); m.kind != want {
		return fmt.Errorf("%w: a response of type %#x to request %d, %s", ErrProtocol, uint32(m.kind), m.id, pending.procedure)
	}
	delete(c.calls, m.id)
	if !pending.abandoned {
		pending.response <- m.body
	} else if pending.late != nil {
		go pending.late(m.body)
	}
	return nil
}

// call makes a request and waits for its response, whatever it is.
func (c *connection) call(ctx context.Context, p procedure, req any, resp answered, late func(body []byte)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("guest service: %s: %w", p, err)
	}
	id, pending, err := c.register(p, late)
	if err != nil {
		return fmt.Errorf("guest service: %s: %w", p, err)
	}
	raw, err := encode(request|messageType(p), id, req)
	if err != nil {
		c.forget(id)
		return fmt.Errorf("guest service: %s: %w", p, err)
	}
	select {
	case c.outgoing <- raw:
	case <-ctx.Done():
		c.forget(id)
		return fmt.Errorf("guest service: %s: the guest reads nothing: %w", p, ctx.Err())
	case <-c.done:
		return fmt.Errorf("guest service: %s: %w", p, c.reason())
	}
	body, err := c.await(ctx, id, pending)
	if err != nil {
		return fmt.Errorf("guest service: %s: %w", p, err)
	}
	return c.decode(p, body, resp)
}

func (c *connection) register(p procedure, late func([]byte)) (uint64, *call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	id := c.nextID
	c.nextID++
	pending := &call{procedure: p, response: make(chan []byte, 1), late: late}
	c.calls[id] = pending
	return id, pending, nil
}

// forget drops a request that was never sent.
func (c *connection) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, id)
}

func (c *connection) await(ctx context.Context, id uint64, pending *call) ([]byte, error) {
	select {
	case body := <-pending.response:
		return body, nil
	case <-c.done:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case body := <-pending.response: // it came in this moment
		return body, nil
	default:
	}
	if c.err != nil {
		return nil, c.err
	}
	pending.abandoned = true
	return nil, fmt.Errorf("the guest has not answered request %d: %w", id, ctx.Err())
}

// decode reads a response; one that makes no sense ends the connection.
func (c *connection) decode(p procedure, body []byte, resp answered) error {
	if err := json.Unmarshal(body, resp); err != nil {
		err = fmt.Errorf("%w: response to %s: %w", ErrProtocol, p, err)
		c.end(err)
		return err
	}
	if resp.base().Result != 0 {
		return failure(p, resp.base())
	}
	return nil
}

// close ends the connection by the host's will.
func (c *connection) close() { c.end(net.ErrClosed) }
