package cri

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/klog/v2"
	utilexec "k8s.io/utils/exec"
)

// protocolV5 is the remote command protocol over WebSocket that can close one
// stream: every message is a channel's number and data, or 255 and the number of the channel that ends.
const (
	protocolV5 = remotecommand.StreamProtocolV5Name

	maxV5Message   = 4 << 20
	v5WriteTimeout = time.Minute
)

// v5Conn is the server's end.
type v5Conn struct {
	ws     *websocket.Conn
	idle   time.Duration
	stdin  *io.PipeWriter // nil: not asked for
	resize chan remotecommand.TerminalSize

	mu sync.Mutex // one writer at a time
}

// serveV5 runs the exec or attach of a grant.
func serveV5(w http.ResponseWriter, r *http.Request, gr grant, rt *streamRuntime, idle time.Duration) {
	up := websocket.Upgrader{Subprotocols: []string{protocolV5}}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		klog.FromContext(r.Context()).V(2).Info("WebSocket upgrade failed", "err", err)
		return // Upgrade has answered
	}
	defer ws.Close()
	c := &v5Conn{ws: ws, idle: idle, resize: make(chan remotecommand.TerminalSize)}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	err = c.run(ctx, cancel, gr, rt)
	c.writeStatus(err)
	c.close()
}

// run connects the channels that were asked for and waits for the process.
func (c *v5Conn) run(ctx context.Context, cancel context.CancelFunc, gr grant, rt *streamRuntime) error {
	in, out, errs := gr.attach.GetStdin(), gr.attach.GetStdout(), gr.attach.GetStderr()
	if gr.exec != nil {
		in, out, errs = gr.exec.GetStdin(), gr.exec.GetStdout(), gr.exec.GetStderr()
	}
	var stdin io.Reader
	var stdout, stderr io.WriteCloser
	if in {
		var pipe *io.PipeReader
		pipe, c.stdin = io.Pipe()
		defer pipe.Close()
		stdin = pipe
	}
	if out {
		stdout = &v5Channel{c, remotecommand.StreamStdOut}
	}
	if errs {
		stderr = &v5Channel{c, remotecommand.StreamStdErr}
	}
	go c.read(ctx, cancel)
	// An empty message tells the client that the streams are connected.
	if err := c.write(remotecommand.StreamErr, nil); err != nil {
		return err
	}
	if gr.exec != nil {
		return rt.Exec(ctx, gr.exec.GetContainerId(), gr.exec.GetCmd(), stdin, stdout, stderr, gr.exec.GetTty(), c.resize)
	}
	return rt.Attach(ctx, gr.attach.GetContainerId(), stdin, stdout, stderr, gr.attach.GetTty(), c.resize)
}

// read takes the client's messages until it goes away, which cancels the process.
func (c *v5Conn) read(ctx context.Context, cancel context.CancelFunc) {
	defer cancel()
	defer close(c.resize)
	defer c.endStdin(io.ErrUnexpectedEOF)
	c.ws.SetReadLimit(maxV5Message)
	c.extend()
	pong := c.ws.PingHandler()
	c.ws.SetPingHandler(func(data string) error { c.extend(); return pong(data) })
	for {
		_, msg, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		c.extend()
		if len(msg) == 0 {
			continue
		}
		if err := c.dispatch(ctx, msg[0], msg[1:]); err != nil {
			return
		}
	}
}

func (c *v5Conn) extend() { c.ws.SetReadDeadline(time.Now().Add(c.idle)) }

func (c *v5Conn) endStdin(err error) {
	if c.stdin != nil {
		c.stdin.CloseWithError(err)
	}
}

// dispatch handles one message. What nobody asked for is ignored.
func (c *v5Conn) dispatch(ctx context.Context, channel byte, data []byte) error {
	switch channel {
	case remotecommand.StreamStdIn:
		if c.stdin != nil && len(data) > 0 {
			// A process that takes no more input is not the client's fault.
			_, _ = c.stdin.Write(data)
		}
	case remotecommand.StreamResize:
		var size remotecommand.TerminalSize
		if json.Unmarshal(data, &size) != nil {
			return nil
		}
		select {
		case c.resize <- size:
		case <-ctx.Done():
			return ctx.Err()
		}
	case remotecommand.StreamClose:
		if len(data) != 1 {
			return errors.New("malformed close")
		}
		if data[0] == remotecommand.StreamStdIn {
			c.endStdin(io.EOF)
		}
	}
	return nil
}

// v5Channel is one channel to the client.
type v5Channel struct {
	conn   *v5Conn
	number byte
}

func (ch *v5Channel) Write(p []byte) (int, error) {
	if err := ch.conn.write(ch.number, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close does nothing: channels to the client end with the connection.
func (ch *v5Channel) Close() error { return nil }

func (c *v5Conn) write(channel byte, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(v5WriteTimeout)); err != nil {
		return err
	}
	w, err := c.ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte{channel}); err != nil {
		return err
	}
	if _, err := w.Write(p); err != nil {
		return err
	}
	return w.Close()
}

// close ends the connection in order.
func (c *v5Conn) close() {
	msg := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, msg, time.Now().Add(time.Second))
}

// v5Status is the part of Kubernetes' Status object that clients read.
type v5Status struct {
	Status  string     `json:"status"`
	Message string     `json:"message,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Code    int        `json:"code,omitempty"`
	Details *v5Details `json:"details,omitempty"`
}

type v5Details struct {
	Causes []v5Cause `json:"causes"`
}

type v5Cause struct {
	Type    string `json:"reason"`
	Message string `json:"message"`
}

// writeStatus tells how the process ended.
func (c *v5Conn) writeStatus(err error) {
	st := v5Status{Status: "Success"}
	var exit utilexec.ExitError
	switch {
	case errors.As(err, &exit):
		st = v5Status{
			Status:  "Failure",
			Reason:  remotecommand.NonZeroExitCodeReason,
			Message: fmt.Sprintf("command terminated with non-zero exit code: %v", err),
			Details: &v5Details{[]v5Cause{{remotecommand.ExitCodeCauseType, fmt.Sprint(exit.ExitStatus())}}},
		}
	case err != nil:
		st = v5Status{Status: "Failure", Reason: "InternalError", Message: err.Error(), Code: http.StatusInternalServerError}
	}
	data, err := json.Marshal(st)
	if err == nil {
		_ = c.write(remotecommand.StreamErr, data)
	}
}
