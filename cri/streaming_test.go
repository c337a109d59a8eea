package cri

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// transports are the ways in which clients speak to the streaming server.
var transports = []struct {
	name string
	dial func(url string) (remotecommand.Executor, error)
	// halfClose: stdin can end before the process does.
	halfClose bool
}{
	{"SPDY", func(u string) (remotecommand.Executor, error) {
		parsed, err := url.Parse(u)
		if err != nil {
			return nil, err
		}
		return remotecommand.NewSPDYExecutor(&restclient.Config{}, "POST", parsed)
	}, true},
	{"WebSocket v4", func(u string) (remotecommand.Executor, error) {
		return remotecommand.NewWebSocketExecutorForProtocols(&restclient.Config{}, "GET", u, "v4.channel.k8s.io")
	}, false},
	{"WebSocket v5", func(u string) (remotecommand.Executor, error) {
		return remotecommand.NewWebSocketExecutor(&restclient.Config{}, "GET", u)
	}, true},
}

// ttyContainer is a container that can be attached to with a terminal.
func ttyContainer() *rt.ContainerConfig {
	c := goodContainer()
	c.Stdin, c.Tty = true, true
	return c
}

func (h *harness) execURL(container string, r *rt.ExecRequest) string {
	h.t.Helper()
	r.ContainerId, r.Cmd = container[:8], []string{"cmd"}
	resp, err := h.pods.Exec(testContext(h.t), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.Url
}

func TestExecStreams(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			h := newHarness(t, testConfig())
			_, c := h.runPod(goodContainer())
			large := make([]byte, 3<<20)
			if _, err := rand.Read(large); err != nil {
				t.Fatal(err)
			}
			h.rt.exec = func(_ context.Context, _ []string, s podsandbox.Streams) (int32, error) {
				if s.TTY {
					return 0, errors.New("no terminal was asked for")
				}
				// Without half-close, the process has to know how much comes.
				if _, err := io.CopyN(s.Stdout, s.Stdin, int64(len(large))); err != nil {
					return 0, err
				}
				if tr.halfClose {
					if n, err := s.Stdin.Read(make([]byte, 1)); n != 0 || err != io.EOF {
						return 0, fmt.Errorf("stdin ended with %d, %v", n, err)
					}
				}
				fmt.Fprint(s.Stderr, "oops")
				return 7, nil
			}
			ex, err := tr.dial(h.execURL(c, &rt.ExecRequest{Stdin: true, Stdout: true, Stderr: true}))
			if err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			err = ex.StreamWithContext(testContext(t), remotecommand.StreamOptions{Stdin: bytes.NewReader(large), Stdout: &stdout, Stderr: &stderr})
			var exit utilexec.ExitError
			if !errors.As(err, &exit) || exit.ExitStatus() != 7 {
				t.Fatalf("exit code 7 expected: %v", err)
			}
			if !bytes.Equal(stdout.Bytes(), large) {
				t.Errorf("%d bytes came back of %d, or others", stdout.Len(), len(large))
			}
			if stderr.String() != "oops" {
				t.Errorf("stderr %q", stderr.String())
			}
		})
	}
}

func TestExecOutputOnly(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			h := newHarness(t, testConfig())
			_, c := h.runPod(goodContainer())
			h.rt.exec = func(_ context.Context, _ []string, s podsandbox.Streams) (int32, error) {
				if s.Stdin != nil && tr.name != "WebSocket v4" || s.Stderr != nil && tr.name != "WebSocket v4" {
					return 0, errors.New("streams nobody asked for")
				}
				_, err := s.Stdout.Write([]byte("hello"))
				return 0, err
			}
			ex, err := tr.dial(h.execURL(c, &rt.ExecRequest{Stdout: true}))
			if err != nil {
				t.Fatal(err)
			}
			var stdout bytes.Buffer
			if err := ex.StreamWithContext(testContext(t), remotecommand.StreamOptions{Stdout: &stdout}); err != nil {
				t.Fatal(err)
			}
			if stdout.String() != "hello" {
				t.Errorf("stdout %q", stdout.String())
			}
		})
	}
}

func TestExecError(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			h := newHarness(t, testConfig())
			_, c := h.runPod(goodContainer())
			h.rt.exec = func(context.Context, []string, podsandbox.Streams) (int32, error) {
				return 0, errors.New("no such program")
			}
			ex, err := tr.dial(h.execURL(c, &rt.ExecRequest{Stdout: true}))
			if err != nil {
				t.Fatal(err)
			}
			err = ex.StreamWithContext(testContext(t), remotecommand.StreamOptions{Stdout: io.Discard})
			if err == nil || !strings.Contains(err.Error(), "no such program") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// sizeQueue delivers sizes and then no more.
type sizeQueue struct {
	sizes chan *remotecommand.TerminalSize
}

func (q *sizeQueue) Next() *remotecommand.TerminalSize { return <-q.sizes }

func TestTerminalResize(t *testing.T) {
	for _, tr := range transports {
		for _, attach := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s attach=%t", tr.name, attach), func(t *testing.T) {
				h := newHarness(t, testConfig())
				_, c := h.runPod(ttyContainer())
				terminal := func(ctx context.Context, s podsandbox.Streams) error {
					if !s.TTY || s.Stderr != nil && tr.name != "WebSocket v4" {
						return errors.New("a terminal was asked for")
					}
					for i := 0; i < 2; i++ {
						select {
						case size := <-s.Resize:
							fmt.Fprintf(s.Stdout, "%dx%d ", size.Width, size.Height)
						case <-ctx.Done():
							return ctx.Err()
						}
					}
					return nil
				}
				h.rt.exec = func(ctx context.Context, _ []string, s podsandbox.Streams) (int32, error) { return 0, terminal(ctx, s) }
				h.rt.attach = terminal
				u := ""
				if attach {
					resp, err := h.pods.Attach(testContext(t), &rt.AttachRequest{ContainerId: c, Stdin: true, Stdout: true, Tty: true})
					if err != nil {
						t.Fatal(err)
					}
					u = resp.Url
				} else {
					u = h.execURL(c, &rt.ExecRequest{Stdin: true, Stdout: true, Tty: true})
				}
				ex, err := tr.dial(u)
				if err != nil {
					t.Fatal(err)
				}
				q := &sizeQueue{make(chan *remotecommand.TerminalSize, 2)}
				q.sizes <- &remotecommand.TerminalSize{Width: 80, Height: 24}
				q.sizes <- &remotecommand.TerminalSize{Width: 100, Height: 30}
				defer close(q.sizes)
				stdin, end := io.Pipe()
				defer end.Close()
				var stdout bytes.Buffer
				err = ex.StreamWithContext(testContext(t), remotecommand.StreamOptions{Stdin: stdin, Stdout: &stdout, Tty: true, TerminalSizeQueue: q})
				if err != nil {
					t.Fatal(err)
				}
				if stdout.String() != "80x24 100x30 " {
					t.Errorf("sizes %q", stdout.String())
				}
			})
		}
	}
}

// TestClientGoesAway leaves an exec that has nothing to read or write.
func TestClientGoesAway(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			h := newHarness(t, testConfig())
			_, c := h.runPod(goodContainer())
			started, ended := make(chan struct{}), make(chan struct{})
			h.rt.exec = func(ctx context.Context, _ []string, _ podsandbox.Streams) (int32, error) {
				close(started)
				<-ctx.Done()
				close(ended)
				return 0, ctx.Err()
			}
			ex, err := tr.dial(h.execURL(c, &rt.ExecRequest{Stdout: true}))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(testContext(t))
			go func() { <-started; cancel() }()
			if err := ex.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard}); err == nil {
				t.Error("the client was cancelled, but has no error")
			}
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				t.Fatal("the exec goes on without its client")
			}
		})
	}
}

// TestCloseEndsStreams: the server's end is also the streams'.
func TestCloseEndsStreams(t *testing.T) {
	h := newHarness(t, testConfig())
	_, c := h.runPod(goodContainer())
	started := make(chan struct{})
	h.rt.exec = func(ctx context.Context, _ []string, _ podsandbox.Streams) (int32, error) {
		close(started)
		<-ctx.Done()
		return 0, ctx.Err()
	}
	ex, err := transports[0].dial(h.execURL(c, &rt.ExecRequest{Stdout: true}))
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-started; h.srv.Close() }()
	if err := ex.StreamWithContext(testContext(t), remotecommand.StreamOptions{Stdout: io.Discard}); err == nil {
		t.Error("no error")
	}
}

func TestManyConcurrentExecs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("under Wine some of many connections at once are reset at their end, for a reason not found yet")
	}
	h := newHarness(t, testConfig())
	_, c := h.runPod(goodContainer())
	h.rt.exec = func(_ context.Context, _ []string, s podsandbox.Streams) (int32, error) {
		_, err := io.CopyN(s.Stdout, s.Stdin, 10)
		return 0, err
	}
	var wg sync.WaitGroup
	for i := range 60 {
		tr := transports[i%len(transports)]
		u := h.execURL(c, &rt.ExecRequest{Stdin: true, Stdout: true})
		wg.Add(1)
		go func() {
			defer wg.Done()
			ex, err := tr.dial(u)
			if err != nil {
				t.Error(err)
				return
			}
			want := fmt.Sprintf("%010d", i)
			var out bytes.Buffer
			err = ex.StreamWithContext(testContext(t), remotecommand.StreamOptions{Stdin: strings.NewReader(want), Stdout: &out})
			if err != nil || out.String() != want {
				t.Errorf("%s: %q, %v", tr.name, out.String(), err)
			}
		}()
	}
	wg.Wait()
}

func TestURLsAreGoodOnce(t *testing.T) {
	h := newHarness(t, testConfig())
	sb, c := h.runPod(goodContainer())
	get := func(u string) int {
		t.Helper()
		resp, err := http.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	u := h.execURL(c, &rt.ExecRequest{Stdout: true})
	pf, err := h.pods.PortForward(testContext(t), &rt.PortForwardRequest{PodSandboxId: sb})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{u, pf.Url} {
		if code := get(u); code == http.StatusNotFound {
			t.Errorf("%s: %d at first", u, code)
		}
		if code := get(u); code != http.StatusNotFound {
			t.Errorf("%s: %d again", u, code)
		}
	}
	parsed, _ := url.Parse(u)
	parsed.Path = "/exec/AAAAAAAA"
	if code := get(parsed.String()); code != http.StatusNotFound {
		t.Errorf("made-up token: %d", code)
	}
}

func TestAttachChecksTheContainer(t *testing.T) {
	h := newHarness(t, testConfig())
	_, plain := h.runPod(goodContainer())
	if _, err := h.pods.Attach(testContext(t), &rt.AttachRequest{ContainerId: plain, Stdout: true, Tty: true}); codeText(err) != "InvalidArgument" {
		t.Errorf("tty: %v", err)
	}
	if _, err := h.pods.Attach(testContext(t), &rt.AttachRequest{ContainerId: plain, Stdin: true}); codeText(err) != "InvalidArgument" {
		t.Errorf("stdin: %v", err)
	}
}

func TestPortForward(t *testing.T) {
	h := newHarness(t, testConfig())
	sb, _ := h.runPod(goodContainer())
	h.rt.portForward = func(_ context.Context, port uint16, stream io.ReadWriteCloser) error {
		defer stream.Close()
		if port != 8080 {
			return fmt.Errorf("nothing listens on %d", port)
		}
		_, err := io.Copy(stream, stream)
		return err
	}
	resp, err := h.pods.PortForward(testContext(t), &rt.PortForwardRequest{PodSandboxId: sb[:8]})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := url.Parse(resp.Url)
	if err != nil {
		t.Fatal(err)
	}
	transport, upgrader, err := spdy.RoundTripperFor(&restclient.Config{})
	if err != nil {
		t.Fatal(err)
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", parsed)
	stop, ready := make(chan struct{}), make(chan struct{})
	fw, err := portforward.New(dialer, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	forwarded := make(chan error, 1)
	go func() { forwarded <- fw.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-forwarded:
		t.Fatalf("forwarding: %v", err)
	}
	ports, err := fw.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		echo(t, ports[0].Local)
	}
	close(stop)
	if err := <-forwarded; err != nil {
		t.Errorf("forwarding: %v", err)
	}
}
