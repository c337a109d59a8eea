//go:build unix

package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// MaxMessage bounds one message from QEMU, in bytes: a QEMU that its guest has
// taken over must not exhaust the host's memory.
const MaxMessage = 4 << 20

// ErrClosed: the connection to QEMU has ended.
var ErrClosed = errors.New("QMP connection closed")

// Error is QEMU's refusal of a command.
type Error struct {
	Command string
	Class   string
	Desc    string
}

func (e *Error) Error() string { return fmt.Sprintf("QEMU refused %s: %s", e.Command, e.Desc) }

// Event is something QEMU tells unasked.
type Event struct {
	Name string
	Data json.RawMessage
}

// Conn is a connection to one QEMU's monitor. Its methods may be called
// concurrently; QEMU runs the commands one after the other.
type Conn struct {
	wire    *net.UnixConn
	onEvent func(Event)
	done    chan struct{}

	sending sync.Mutex // orders messages and their file descriptors

	mu      sync.Mutex // below sending
	next    uint64
	waiting map[uint64]chan reply
	err     error
}

type message struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	ID    *uint64         `json:"id"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

type reply struct {
	result json.RawMessage
	err    *Error
}

type request struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
	ID        uint64 `json:"id"`
}

// Dial connects to the monitor behind a Unix socket and leaves negotiation mode.
// onEvent, if not nil, is called for every event, in order, and must not block
// or call the Conn.
func Dial(ctx context.Context, socket string, onEvent func(Event)) (*Conn, error) {
	var d net.Dialer
	wire, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("connect to QEMU's monitor: %w", err)
	}
	c := &Conn{
		wire:    wire.(*net.UnixConn),
		onEvent: onEvent,
		done:    make(chan struct{}),
		waiting: make(map[uint64]chan reply),
	}
	go c.read()
	if err := c.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Close ends the connection; QEMU goes on.
func (c *Conn) Close() error {
	err := c.wire.Close()
	<-c.done
	return err
}

// Execute runs a command. args is marshalled to JSON unless nil; result, unless
// nil, receives what the command returns. When ctx ends first the command may
// still take effect.
func (c *Conn) Execute(ctx context.Context, command string, args, result any) error {
	return c.execute(ctx, command, args, result, -1)
}

// ExecuteFD runs a command and sends a file descriptor along, as getfd and
// add-fd want it. The caller keeps its own.
func (c *Conn) ExecuteFD(ctx context.Context, fd int, command string, args, result any) error {
	return c.execute(ctx, command, args, result, fd)
}

func (c *Conn) execute(ctx context.Context, command string, args, result any, fd int) error {
	answer := make(chan reply, 1)
	id, err := c.send(command, args, fd, answer)
	if err != nil {
		return err
	}
	select {
	case r := <-answer:
		return finish(command, r, result)
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		return fmt.Errorf("QMP command %s: %w", command, ctx.Err())
	case <-c.done:
		select {
		case r := <-answer:
			return finish(command, r, result)
		default:
			return fmt.Errorf("QMP command %s: %w", command, c.cause())
		}
	}
}

func finish(command string, r reply, result any) error {
	if r.err != nil {
		r.err.Command = command
		return r.err
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(r.result, result); err != nil {
		return fmt.Errorf("QMP command %s: unexpected answer: %w", command, err)
	}
	return nil
}

func (c *Conn) send(command string, args any, fd int, answer chan reply) (uint64, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.mu.Lock()
	c.next++
	id := c.next
	c.waiting[id] = answer
	c.mu.Unlock()
	err := c.write(request{Execute: command, Arguments: args, ID: id}, fd)
	if err != nil {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		return 0, fmt.Errorf("QMP command %s: %w", command, errors.Join(ErrClosed, err))
	}
	return id, nil
}

func (c *Conn) write(req request, fd int) error {
	line, err := json.Marshal(req)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	n, _, err := c.wire.WriteMsgUnix(line, rights, nil)
	if err == nil && n < len(line) {
		_, err = c.wire.Write(line[n:])
	}
	return err
}

// read hands messages to their waiters until the connection ends.
func (c *Conn) read() {
	defer close(c.done)
	defer c.wire.Close()
	lines := bufio.NewScanner(c.wire)
	lines.Buffer(make([]byte, 0, 64<<10), MaxMessage)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			c.fail(fmt.Errorf("message from QEMU is no JSON: %w", err))
			return
		}
		c.deliver(m)
	}
	c.fail(lines.Err())
}

func (c *Conn) deliver(m message) {
	if m.Event != "" {
		if c.onEvent != nil {
			c.onEvent(Event{Name: m.Event, Data: m.Data})
		}
		return
	}
	if m.ID == nil {
		return // the greeting
	}
	c.mu.Lock()
	answer := c.waiting[*m.ID]
	delete(c.waiting, *m.ID)
	c.mu.Unlock()
	if answer == nil {
		return // given up meanwhile
	}
	r := reply{result: m.Return}
	if m.Error != nil {
		r.err = &Error{Class: m.Error.Class, Desc: m.Error.Desc}
	}
	answer <- r
}

func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *Conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return errors.Join(ErrClosed, c.err)
	}
	return ErrClosed
}
