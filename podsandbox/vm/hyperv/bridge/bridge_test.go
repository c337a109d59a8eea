package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/Microsoft/go-winio/pkg/guid"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// TestFrames pins the bytes that Microsoft's guests read.
func TestFrames(t *testing.T) {
	raw, err := encode(request|messageType(shutdownGraceful), 0x0102030405060708, struct{ A string }{"<&>"})
	if err != nil {
		t.Fatal(err)
	}
	want := "\x01\x03\x10\x10" + "\x1c\x00\x00\x00" + "\x08\x07\x06\x05\x04\x03\x02\x01" + `{"A":"<&>"}` + "\n"
	if string(raw) != want {
		t.Errorf("message %q\nwant    %q", raw, want)
	}
	m, err := readMessage(strings.NewReader(want))
	if err != nil || m.kind != 0x10100301 || m.id != 0x0102030405060708 || string(m.body) != `{"A":"<&>"}`+"\n" {
		t.Errorf("read %+v, %v", m, err)
	}
}

func TestWhatWindowsIsAsked(t *testing.T) {
	port := uint32(0x40000001)
	for _, c := range []struct {
		body any
		want string
	}{
		{&createRequest{target{ContainerID: "c"}, text[any]{struct{ SystemType string }{"Container"}}},
			`{"ContainerId":"c","ActivityId":"00000000-0000-0000-0000-000000000000","ContainerConfig":"{\"SystemType\":\"Container\"}"}`},
		{executeSettings{
			ProcessParameters:  text[ProcessParameters]{ProcessParameters{CommandLine: "cmd /c ver", CreateStdOutPipe: true}},
			StdioRelaySettings: &relay[guid.GUID]{StdOut: service(&port)},
		}, `{"ProcessParameters":"{\"CommandLine\":\"cmd /c ver\",\"CreateStdOutPipe\":true}","StdioRelaySettings":{"StdOut":"40000001-facb-11e6-bd58-64006a7986d3"}}`},
		{CtrlShutdown.options(), `{"Signal":"CtrlShutdown"}`},
		{Addresses("11111111-2222-3333-4444-555555555555"),
			`{"ResourceType":"HvSocket","RequestType":"Update","Settings":{"LocalAddress":"11111111-2222-3333-4444-555555555555","ParentAddress":"894cc2d6-9d79-424f-93fe-42969ae6d8d1"}}`},
		{CombinedLayers(`C:\c\1`, []Layer{{ID: "id", Path: `C:\layer`}}),
			`{"ResourceType":"CombinedLayers","RequestType":"Add","Settings":{"ContainerRootPath":"C:\\c\\1","Layers":[{"Id":"id","Path":"C:\\layer"}]}}`},
		{MapDirectory(`C:\a`, `C:\b`, true),
			`{"ResourcePath":"Container/MappedDirectories","RequestType":"Add","Settings":{"HostPath":"C:\\a","ContainerPath":"C:\\b","ReadOnly":true}}`},
		{ExpectAdapter("nic", json.RawMessage(`{"ID":"e"}`)),
			`{"ResourceType":"Network","RequestType":"Add","Settings":{"AdapterId":"nic","RequestType":"PreAdd","Settings":{"ID":"e"}}}`},
		{MountDisk(1, `C:\c\1`), `{"ResourceType":"MappedVirtualDisk","RequestType":"Add","Settings":{"ContainerPath":"C:\\c\\1","Lun":1}}`},
	} {
		if got, err := json.Marshal(c.body); err != nil || string(got) != c.want {
			t.Errorf("%s, %v\nwant %s", got, err, c.want)
		}
	}
}

func TestStartOfTheHost(t *testing.T) {
	host, inner := net.Pipe()
	g := &guest{t, inner}
	asked := make(chan []string, 1)
	go func() {
		m := g.request()
		g.respond(m, `{"Version":4,"Capabilities":{"SendHostCreateMessage":true,"SendHostStartMessage":true}}`)
		var all []string
		for range 3 {
			m := g.request()
			all = append(all, procedure(m.kind&^kindMask).String()+" "+string(m.body))
			g.respond(m, `{"Result":0}`)
		}
		asked <- all
	}()
	c, err := Connect(t.Context(), Config{Wire: host, Listen: listenLocal, Address: "vm", TimeZone: &schema.TimeZone{Bias: -60, StandardName: "CET"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := <-asked
	for i, want := range []string{"Create", "Start", "ModifySettings"} {
		if !strings.HasPrefix(got[i], want+" ") || !strings.Contains(got[i], NullID) {
			t.Errorf("request %d: %s", i, got[i])
		}
	}
	if want := `"TimeZoneInformation\":{\"Bias\":-60,\"StandardName\":\"CET\"}`; !strings.Contains(got[0], want) {
		t.Errorf("the time zone: %s; want %s", got[0], want)
	}
	if !strings.Contains(got[2], `"LocalAddress":"vm"`) {
		t.Errorf("the addresses: %s", got[2])
	}
}

func TestOtherVersionIsRefused(t *testing.T) {
	host, inner := net.Pipe()
	g := &guest{t, inner}
	go g.serve(`{"Version":5}`)
	if _, err := Connect(soon(t), Config{Wire: host}); !errors.Is(err, ErrProtocol) {
		t.Errorf("version 5: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	c, g := connected(t)
	go g.serve(`{"Result":-1070137074,"ErrorMessage":"no such\ncontainer","ErrorRecords":[{"Message":"no such\ncontainer"},{"Message":"because"}]}`)
	_, err := c.Stacks(soon(t))
	if !errors.Is(err, computecore.SystemNotFound) || computecore.ResultOf(err) != 0xC037010E {
		t.Errorf("%v", err)
	}
	if text := err.Error(); !strings.Contains(text, "DumpStacks") || !strings.Contains(text, "no such container; because") {
		t.Errorf("the error reads %q", text)
	}
}

// TestNonsense: whatever a guest sends, the connection ends with ErrProtocol, or lives.
func TestNonsense(t *testing.T) {
	for name, send := range map[string]func(g *guest, m message){
		"response to nothing":        func(g *guest, m message) { g.send(response|m.kind&^kindMask, m.id+1, `{}`) },
		"response of another kind":   func(g *guest, m message) { g.send(response|messageType(create), m.id, `{}`) },
		"request":                    func(g *guest, m message) { g.send(request|messageType(create), 1, `{}`) },
		"response that is no object": func(g *guest, m message) { g.respond(m, `"x"`) },
		"notification of no object":  func(g *guest, m message) { g.send(containerExited, 0, `7`) },
		"header alone":               func(g *guest, m message) { g.conn.Write(make([]byte, headerSize)) },
		"too long": func(g *guest, m message) {
			g.conn.Write([]byte("\x01\x03\x10\x20\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, g := connected(t)
			go func() { send(g, g.request()) }()
			if _, err := c.Stacks(soon(t)); !errors.Is(err, ErrProtocol) {
				t.Fatalf("the call ended with %v", err)
			}
			<-c.Done()
			if err := c.Err(); !errors.Is(err, ErrProtocol) {
				t.Errorf("the bridge ended with %v", err)
			}
		})
	}
}

func TestNewNotificationsAreIgnored(t *testing.T) {
	c, g := connected(t)
	go func() {
		m := g.request()
		g.send(notification|0x00100201, 0, `{"Of":"tomorrow"}`)
		g.send(containerExited, 0, `{"ContainerId":"nobody's"}`)
		g.respond(m, `{"GuestStacks":"all well"}`)
	}()
	if stacks, err := c.Stacks(soon(t)); err != nil || stacks != "all well" {
		t.Errorf("%q, %v", stacks, err)
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	c, g := connected(t)
	ctx, cancel := context.WithCancel(t.Context())
	received := make(chan message, 1)
	go func() { m := g.request(); received <- m; cancel() }()
	if _, err := c.Stacks(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("the call ended with %v", err)
	}
	// Its answer comes late, and a call after it is served.
	go func() {
		g.respond(<-received, `{"GuestStacks":"late"}`)
		g.respond(g.request(), `{"GuestStacks":"in time"}`)
	}()
	if stacks, err := c.Stacks(soon(t)); err != nil || stacks != "in time" {
		t.Errorf("%q, %v", stacks, err)
	}
}

func TestGuestThatReadsNothing(t *testing.T) {
	c, _ := connected(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := c.Stacks(ctx); first <- err }()
	second := make(chan error, 1)
	go func() { _, err := c.Stacks(ctx); second <- err }()
	cancel()
	if err := errors.Join(<-first, <-second); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestLateAnswersAreUndone: what nobody waits for any more does not live on.
func TestLateAnswersAreUndone(t *testing.T) {
	t.Run("container", func(t *testing.T) {
		c, g := connected(t)
		m := abandoned(t, g, func(ctx context.Context) error { _, err := c.CreateContainer(ctx, "c", struct{}{}); return err })
		go g.respond(m, `{"Result":0}`)
		if undo := g.request(); procedure(undo.kind&^kindMask) != shutdownForced || !strings.Contains(string(undo.body), `"ContainerId":"c"`) {
			t.Errorf("the guest was asked for %#x %s", undo.kind, undo.body)
		}
	})
	t.Run("process", func(t *testing.T) {
		c, g := connected(t)
		m := abandoned(t, g, func(ctx context.Context) error {
			_, err := c.Execute(ctx, ProcessParameters{CreateStdOutPipe: true})
			return err
		})
		go g.respond(m, `{"Result":0,"ProcessId":42}`)
		if undo := g.request(); procedure(undo.kind&^kindMask) != signalProcess || !strings.Contains(string(undo.body), `"ProcessId":42}`) {
			t.Errorf("the guest was asked for %#x %s", undo.kind, undo.body)
		}
	})
	t.Run("refused", func(t *testing.T) {
		c, g := connected(t)
		m := abandoned(t, g, func(ctx context.Context) error { _, err := c.Execute(ctx, ProcessParameters{}); return err })
		go func() {
			g.respond(m, `{"Result":-1}`)
			g.respond(g.request(), `{"GuestStacks":"next"}`)
		}()
		if stacks, err := c.Stacks(soon(t)); err != nil || stacks != "next" {
			t.Errorf("%q, %v", stacks, err)
		}
	})
}

// abandoned makes a call and gives it up once the guest has its request.
func abandoned(t *testing.T, g *guest, call func(context.Context) error) message {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	received := make(chan message, 1)
	go func() { received <- g.request(); cancel() }()
	if err := call(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("the call ended with %v", err)
	}
	return <-received
}

func TestExitOfContainers(t *testing.T) {
	c, g := connected(t)
	go func() {
		m := g.request()
		g.send(containerExited, 0, `{"ContainerId":"early","Type":"UnexpectedExit","Result":0,"ResultInfo":""}`)
		g.respond(m, `{"Result":0}`)
		g.respond(g.request(), `{"Result":0}`)
	}()
	early, err := c.CreateContainer(soon(t), "early", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	<-early.Exited()
	if exit, err := early.Exit(); exit != UnexpectedExit || err != nil {
		t.Errorf("%q, %v", exit, err)
	}
	lost, err := c.CreateContainer(soon(t), "early", struct{}{}) // the name is free again
	if err != nil {
		t.Fatal(err)
	}
	g.conn.Close()
	<-lost.Exited()
	if _, err := lost.Exit(); !errors.Is(err, ErrLost) {
		t.Errorf("%v", err)
	}
	if _, err := c.OpenContainer("x"); !errors.Is(err, ErrLost) {
		t.Errorf("open a container of a bridge that has ended: %v", err)
	}
}

// TestStreams: the guest's first connection is the stream, and there is no second.
func TestStreams(t *testing.T) {
	host, inner := net.Pipe()
	g := &guest{t, inner}
	addrs := make(chan string, 3)
	listen := func(port uint32) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			addrs <- l.Addr().String()
		}
		return l, err
	}
	waiting := make(chan message, 1)
	go func() {
		g.respond(g.request(), `{"Version":4,"Capabilities":{"RuntimeOsType":"Windows"}}`)
		g.respond(g.request(), `{"ProcessId":7}`)
		waiting <- g.request()
	}()
	c, err := Connect(soon(t), Config{Wire: host, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := c.Execute(soon(t), ProcessParameters{CreateStdInPipe: true, CreateStdOutPipe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	in, out := dial(t, <-addrs), dial(t, <-addrs)
	go io.WriteString(p.Stdin(), "typed")
	typed := make([]byte, 5)
	if _, err := io.ReadFull(in, typed); err != nil || string(typed) != "typed" {
		t.Errorf("the process reads %q, %v", typed, err)
	}
	if err := p.Stdin().Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := in.Read(typed); n != 0 || err != io.EOF {
		t.Errorf("after the end of the input it reads %d, %v", n, err)
	}
	io.WriteString(out, "written")
	out.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(p.Stdout()); err != nil || string(b) != "written" {
		t.Errorf("the process wrote %q, %v", b, err)
	}
	if n, err := out.Read(typed); n != 0 || err != io.EOF {
		t.Errorf("the host keeps a stream that it has read to its end: %d, %v", n, err)
	}
	if p.Stderr() != nil {
		t.Error("a stream that was not asked for")
	}
	if again, err := net.Dial("tcp", out.RemoteAddr().String()); err == nil {
		again.Close()
		t.Error("the stream took a second connection")
	}
	g.respond(<-waiting, `{"ExitCode":3221225786}`)
	if code, err := p.Wait(soon(t)); code != 0xC000013A || err != nil {
		t.Errorf("exit code %#x, %v", code, err)
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestStreamsEndWithTheBridge: a guest that never dials holds nobody up.
func TestStreamsEndWithTheBridge(t *testing.T) {
	c, g := connected(t)
	go g.serve(`{"ProcessId":7}`)
	p, err := c.Execute(soon(t), ProcessParameters{CreateStdOutPipe: true})
	if err != nil {
		t.Fatal(err)
	}
	g.conn.Close()
	if _, err := p.Stdout().Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("its output ends with %v", err)
	}
	if _, err := p.Wait(soon(t)); !errors.Is(err, ErrLost) {
		t.Errorf("it ends with %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestProperties(t *testing.T) {
	c, g := connected(t)
	ctr, err := c.OpenContainer("c")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		m := g.request()
		if !strings.Contains(string(m.body), `"Query":"{\"PropertyTypes\":[\"Statistics\"]}"`) {
			t.Errorf("asked for %s", m.body)
		}
		g.respond(m, `{"Properties":"{\"Statistics\":{\"Timestamp\":\"2024-01-02T03:04:05.6Z\",\"Processor\":{\"TotalRuntime100ns\":12},`+
			`\"Memory\":{\"MemoryUsagePrivateWorkingSetBytes\":34},\"Storage\":{\"ReadSizeBytes\":56}}}"}`)
	}()
	p, err := ctr.Properties(soon(t), StatisticsProperty)
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Statistics; s == nil || s.Processor.TotalRuntime100ns != 12 || s.Memory.MemoryUsagePrivateWorkingSetBytes != 34 || s.Storage.ReadSizeBytes != 56 || s.Timestamp.Year() != 2024 {
		t.Errorf("statistics %+v", s)
	}
}
