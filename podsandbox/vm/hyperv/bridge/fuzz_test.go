package bridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// FuzzReadMessage: what is read is bounded, and is what was written.
func FuzzReadMessage(f *testing.F) {
	for _, kind := range []messageType{response | messageType(create), containerExited, 0} {
		raw, err := encode(kind, 1, answer{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(raw[:len(raw)-1])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		m, err := readMessage(r)
		if err != nil {
			return
		}
		if len(m.body) > len(raw)-headerSize || len(m.body)+headerSize+r.Len() != len(raw) {
			t.Errorf("a body of %d bytes, %d left, of %d", len(m.body), r.Len(), len(raw))
		}
	})
}

// FuzzGuest: a hostile guest's bytes after a request end the call, and nothing hangs.
func FuzzGuest(f *testing.F) {
	for _, body := range []string{`{"ProcessId":1}`, `{"Result":-1,"ErrorRecords":[{"Message":"x"}]}`, `{"Capabilities":[]}`, `{"Properties":"{}"}`} {
		raw, _ := encode(response|messageType(executeProcess), 1, answer{})
		f.Add(raw, body)
	}
	exit, _ := encode(containerExited, 0, exitNotification{ContainerID: "c", Type: "GracefulExit"})
	f.Add(exit, ``)
	f.Fuzz(func(t *testing.T, raw []byte, body string) {
		host, inner := net.Pipe()
		c := &Client{nextPort: firstPort, containers: make(map[string]*Container), listen: listenLocal}
		c.conn = newConnection(host, c.exited)
		go c.endContainers()
		ctr, err := c.OpenContainer("c")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer inner.Close()
			if m, err := readMessage(inner); err == nil {
				go io.Copy(io.Discard, inner)
				_, _ = inner.Write(raw)
				if sent, err := encode(response|m.kind&^kindMask, m.id, rawJSON(body)); err == nil {
					_, _ = inner.Write(sent)
				}
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if p, err := ctr.Execute(ctx, ProcessParameters{}); err == nil {
			p.Wait(ctx)
		} else if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the call hung: %v", err)
		}
		<-c.Done()
		<-ctr.Exited()
	})
}

// rawJSON is sent as it is, valid or not.
type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }
