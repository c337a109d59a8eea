//go:build unix

package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// serve is a QEMU that answers each command with what handle returns.
func serve(t *testing.T, handle func(conn *net.UnixConn, command string, id uint64)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qmp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintln(conn, `{"QMP": {"version": {}, "capabilities": []}}`)
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			var req request
			if json.Unmarshal(lines.Bytes(), &req) != nil {
				return
			}
			if req.Execute == "qmp_capabilities" {
				fmt.Fprintf(conn, "{\"return\": {}, \"id\": %d}\r\n", req.ID)
				continue
			}
			handle(conn.(*net.UnixConn), req.Execute, req.ID)
		}
	}()
	return socket
}

func TestCommandsErrorsAndEvents(t *testing.T) {
	socket := serve(t, func(conn *net.UnixConn, command string, id uint64) {
		switch command {
		case "good":
			fmt.Fprintf(conn, "{\"event\":\"HELLO\",\"data\":{\"a\":1}}\n{\"return\":{\"x\":7},\"id\":%d}\n", id)
		case "bad":
			fmt.Fprintf(conn, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"},\"id\":%d}\n", id)
		case "die":
			conn.Close()
		}
	})
	events := make(chan Event, 1)
	c, err := Dial(t.Context(), socket, func(e Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got struct{ X int }
	if err := c.Execute(t.Context(), "good", map[string]int{"y": 1}, &got); err != nil || got.X != 7 {
		t.Fatalf("good: %v, %v", got, err)
	}
	if e := <-events; e.Name != "HELLO" || string(e.Data) != `{"a":1}` {
		t.Fatalf("event %v", e)
	}
	var refused *Error
	if err := c.Execute(t.Context(), "bad", nil, nil); !errors.As(err, &refused) || refused.Desc != "no" {
		t.Fatalf("bad: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Execute(ctx, "silent", nil, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if err := c.Execute(t.Context(), "die", nil, nil); !errors.Is(err, ErrClosed) {
		t.Fatalf("die: %v", err)
	}
	if err := c.Execute(t.Context(), "good", nil, nil); !errors.Is(err, ErrClosed) {
		t.Fatalf("after the end: %v", err)
	}
}

func TestGarbageAndHugeMessagesEndTheConnection(t *testing.T) {
	for name, bytes := range map[string]string{
		"garbage": "}{\n",
		"huge":    string(make([]byte, MaxMessage+1)),
	} {
		t.Run(name, func(t *testing.T) {
			socket := serve(t, func(conn *net.UnixConn, _ string, _ uint64) { conn.Write([]byte(bytes)) })
			c, err := Dial(t.Context(), socket, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Execute(t.Context(), "x", nil, nil); !errors.Is(err, ErrClosed) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestDescriptorsAreSent(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	f := os.NewFile(uintptr(pair[0]), "wire")
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{wire: conn.(*net.UnixConn)}
	defer conn.Close()
	if err := c.write(request{Execute: "getfd", ID: 1}, 0); err != nil {
		t.Fatal(err)
	}
	buf, oob := make([]byte, 256), make([]byte, 64)
	_, oobn, _, _, err := unix.Recvmsg(pair[1], buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) != 1 {
		t.Fatalf("control messages %v, %v", msgs, err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("descriptors %v, %v", fds, err)
	}
	unix.Close(fds[0])
}
