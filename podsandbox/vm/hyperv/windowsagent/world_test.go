package windowsagent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/client"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge/bridgetest"
)

// world is a VM's host side: the sockets that its guest may dial, and an agent.
type world struct {
	t     *testing.T
	guest *bridgetest.Guest
	state string
	agent *Agent
	*client.Client

	mu       sync.Mutex
	services map[string]net.Addr
	open     int // connections and listeners of processes' streams
}

const (
	namespace = "0d7c9f1a-3c52-4c0a-8a42-0c1b2f3e4d5f"
	share     = `\\?\VMSMB\VSMB-{dcc079ae-60ba-4d07-847c-3493609c0870}\s`
)

// newWorld boots a guest and connects to it.
func newWorld(t *testing.T) *world {
	w := &world{t: t, services: map[string]net.Addr{}, state: filepath.Join(t.TempDir(), "containers.json")}
	w.guest = bridgetest.New(bridgetest.Config{
		Dial: w.dial,
		Path: func(path string) error {
			if !strings.HasPrefix(path, share) {
				return errors.New("there is none")
			}
			return nil
		},
		Refused: func(what string) { t.Log("the guest refuses: " + what) },
	})
	w.start(false)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.guest.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	w.connect()
	w.addNamespace()
	return w
}

// addNamespace is the VM's part: its network.
func (w *world) addNamespace() {
	c, err := w.agent.Client(soon(w.t))
	if err == nil {
		err = c.Modify(soon(w.t), bridge.AddNamespace(map[string]string{"ID": namespace}))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// start is a daemon's start: an agent, and the bridge's listener.
func (w *world) start(reconnected bool) {
	w.t.Helper()
	a, err := New(Config{
		StateFile: w.state, Namespace: func() string { return namespace }, Processors: 4,
		Folder: func(controller, lun uint32) (Folder, bool) {
			return Folder{Path: fmt.Sprintf("%s%d", share, lun), LayerID: fmt.Sprintf("layer-%d", lun)}, controller == folders && lun < 3
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.agent = a
	l, err := w.listen(bridgeService)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	context.AfterFunc(ctx, func() { l.Close() })
	w.t.Cleanup(func() { a.Close(); cancel() })
	go func() {
		for again := reconnected; ; again = true {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c, err := bridge.Connect(ctx, bridge.Config{Wire: conn, Listen: w.port, Address: "vm", Reconnected: again})
			if err != nil {
				continue
			}
			context.AfterFunc(a.life, func() { c.Close() })
			if err := a.Connect(c); err != nil {
				w.t.Error(err)
			}
			<-c.Done()
		}
	}()
	context.AfterFunc(a.life, cancel)
}

// folders is the controller at which the VM shows folders.
const folders = 0xffff

const bridgeService = bridge.BridgeService

func (w *world) connect() {
	w.t.Helper()
	c, err := client.Connect(soon(w.t), w.agent.Dial, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	w.Client = c
}

// restart is a daemon that was killed, and its successor.
func (w *world) restart() {
	w.t.Helper()
	w.Close()
	w.agent.Close()
	w.guest.Break()
	w.start(true)
	w.connect()
}

func (w *world) port(port uint32) (net.Listener, error) {
	l, err := w.listen(fmt.Sprintf("%08x-facb-11e6-bd58-64006a7986d3", port))
	if err != nil {
		return nil, err
	}
	w.count(1)
	return &countedListener{Listener: l, w: w}, nil
}

func (w *world) count(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open += n
}

// countedListener and its connections count until they are closed.
type countedListener struct {
	net.Listener
	w    *world
	once sync.Once
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.w.count(1)
	return &countedConn{TCPConn: c.(*net.TCPConn), w: l.w}, nil
}

func (l *countedListener) Close() error {
	l.once.Do(func() { l.w.count(-1) })
	return l.Listener.Close()
}

type countedConn struct {
	*net.TCPConn
	w    *world
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.w.count(-1) })
	return c.TCPConn.Close()
}

// quiet waits until no stream is open.
func (w *world) quiet() {
	w.t.Helper()
	n := 0
	for range 500 {
		w.mu.Lock()
		n = w.open
		w.mu.Unlock()
		if n == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Errorf("%d streams are open", n)
}

func (w *world) listen(service string) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.services[service] = l.Addr()
	}
	return l, err
}

func (w *world) dial(service string) (net.Conn, error) {
	w.mu.Lock()
	addr := w.services[service]
	w.mu.Unlock()
	if addr == nil {
		return nil, errors.New("nobody listens")
	}
	return net.Dial("tcp", addr.String())
}

// soon is long enough for anything within one process.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// request is a container that runs a command line.
func request(id, line string) *api.CreateContainerRequest {
	return &api.CreateContainerRequest{
		Id: id, Layers: []*api.Layer{{Disk: &api.DiskAddress{Controller: folders}}, {Disk: &api.DiskAddress{Controller: folders, Lun: 1}}},
		User: &api.User{User: "ContainerUser"},
		Windows: &api.WindowsContainer{
			Scratch: &api.DiskAddress{Lun: 5},
			Process: &api.WindowsProcess{CommandLine: line, Dir: `C:\`, Env: []string{"SUFFIX= <&>", "=C:=x"}},
		},
	}
}

// run creates and starts a container.
func (w *world) run(req *api.CreateContainerRequest) {
	w.t.Helper()
	if _, err := w.CreateContainer(soon(w.t), req); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.StartContainer(soon(w.t), &api.StartContainerRequest{Id: req.Id}); err != nil {
		w.t.Fatal(err)
	}
}

// output reads a process's output to its end.
func (w *world) output(container, exec string, stdio api.Stdio) string {
	w.t.Helper()
	r, err := w.OpenOutput(soon(w.t), &api.StdioStream{ContainerId: container, ExecId: exec, Stdio: stdio})
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Errorf("read output: %v", err)
	}
	return string(b)
}

// line is the first line of a process's output, which goes on.
func (w *world) line(container, exec string) string {
	w.t.Helper()
	r, err := w.OpenOutput(soon(w.t), &api.StdioStream{ContainerId: container, ExecId: exec, Stdio: api.Stdio_STDIO_STDOUT})
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	text, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

func (w *world) wait(container, exec string, want uint32) {
	w.t.Helper()
	answer, err := w.WaitProcess(soon(w.t), &api.WaitProcessRequest{ContainerId: container, ExecId: exec})
	if err != nil || answer.Exit.Code != want {
		w.t.Errorf("process %q of %s ended with %v, %v; want %d", exec, container, answer.GetExit(), err, want)
	}
}

func (w *world) delete(id string) {
	w.t.Helper()
	if _, err := w.DeleteContainer(soon(w.t), &api.DeleteContainerRequest{Id: id}); err != nil {
		w.t.Error(err)
	}
	if left := w.guest.Left(); len(left) > 0 {
		w.t.Errorf("the guest still has: %q", left)
	}
	w.quiet()
}

func encodeSpec(t *testing.T, memory, quota int64) []byte {
	period := uint64(100_000)
	b, err := json.Marshal(specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &memory}, CPU: &specs.LinuxCPU{Quota: &quota, Period: &period},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
