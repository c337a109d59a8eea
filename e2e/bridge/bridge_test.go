package bridge

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// TestGuestService boots once: its parts are in the order of a pod's life.
func TestGuestService(t *testing.T) {
	m := boot(t)
	wire, err := m.dialer.Dial(patience(t), 0x40000000)
	if err != nil {
		t.Fatal(err)
	}
	c, err := bridge.Connect(patience(t), bridge.Config{Wire: wire, Listen: m.listen})
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{c}
	t.Run("Capabilities", s.capabilities)
	t.Run("ProcessInVM", s.processInVM)
	t.Run("CombinedLayers", s.combinedLayers)
	t.Run("Refusals", s.refusals)
	t.Run("Container", s.container)
	t.Run("GracefulShutdown", s.gracefulShutdown)
	t.Run("Stacks", s.stacks)
	t.Run("ServiceKilled", s.serviceKilled)
}

type suite struct{ *bridge.Client }

func (s *suite) capabilities(t *testing.T) {
	g := s.Guest
	if s.Windows() || g.RuntimeOsType != "Linux" || !g.GuestDefinedCapabilities.SignalProcessSupported || !g.GuestDefinedCapabilities.DeleteContainerStateSupported {
		t.Errorf("the guest says of itself: %+v", g)
	}
	if len(g.SupportedSchemaVersions) != 1 || g.SupportedSchemaVersions[0].Major != 2 {
		t.Errorf("its schemas: %+v", g.SupportedSchemaVersions)
	}
}

func shell(script string) bridge.ProcessParameters {
	return bridge.ProcessParameters{
		CommandArgs: []string{"/bin/sh", "-c", script}, WorkingDirectory: "/", Environment: map[string]string{"PATH": "/bin"},
		CreateStdOutPipe: true,
	}
}

func (s *suite) processInVM(t *testing.T) {
	params := shell(`read line; echo "out $line $GREETING"; echo "err" >&2; cat; exit 7`)
	params.CreateStdInPipe, params.CreateStdErrPipe = true, true
	params.Environment["GREETING"] = `<hello & "good bye">`
	p := s.start(t, s.Execute, params)
	io.WriteString(p.Stdin(), "in\n")
	if got := line(t, p.Stdout()); got != `out in <hello & "good bye">` {
		t.Errorf("standard output: %q", got)
	}
	if got := line(t, p.Stderr()); got != "err" {
		t.Errorf("standard error: %q", got)
	}
	select {
	case <-p.Exited():
		t.Error("it ended with its input open")
	default:
	}
	if err := p.Stdin().Close(); err != nil {
		t.Errorf("end the input: %v", err)
	}
	wait(t, p, 7)
}

func (s *suite) combinedLayers(t *testing.T) {
	wait(t, s.start(t, s.Execute, shell(`mkdir -p /l/1 /l/2 && echo low >/l/1/a && echo low >/l/1/b && echo top >/l/2/a`)), 0)
	layers := []bridge.Layer{{ID: "2", Path: "/l/2"}, {ID: "1", Path: "/l/1"}}
	if err := s.Modify(patience(t), bridge.CombinedLayers("/combined", layers)); err != nil {
		t.Fatal(err)
	}
	p := s.start(t, s.Execute, shell("cat /combined/a /combined/b"))
	if a, b := line(t, p.Stdout()), line(t, p.Stdout()); a != "top" || b != "low" {
		t.Errorf("the layers combined: %q, %q", a, b)
	}
	wait(t, p, 0)
	if err := s.Modify(patience(t), bridge.UncombineLayers("/combined")); err != nil {
		t.Fatal(err)
	}
	wait(t, s.start(t, s.Execute, shell("test ! -e /combined/a")), 0)
}

func (s *suite) refusals(t *testing.T) {
	ctx := patience(t)
	is := func(what string, err error, want computecore.HRESULT) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", what, err, want)
		}
	}
	_, err := s.Execute(ctx, bridge.ProcessParameters{CommandArgs: []string{"/no/such/program"}})
	is("a program that does not exist", err, 0x80004005)
	if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("the refusal does not name the program: %v", err)
	}
	is("a modification it does not know", s.Modify(ctx, bridge.MapDirectory("/a", "/b", true)), 0x80004005)

	unknown, err := s.OpenContainer("unknown")
	if err != nil {
		t.Fatal(err)
	}
	is("shut an unknown container down", unknown.Shutdown(ctx), computecore.SystemNotFound)
	is("kill an unknown container", unknown.Terminate(ctx), computecore.SystemNotFound)
	_, err = unknown.Properties(ctx, bridge.StatisticsProperty)
	is("statistics of an unknown container", err, computecore.SystemNotFound)
	_, err = unknown.OpenProcess(1).Wait(ctx)
	is("wait in an unknown container", err, computecore.SystemNotFound)

	document := document("refused", "sleep", "1000")
	document.SchemaVersion.Minor = 0
	_, err = s.CreateContainer(ctx, "refused", document)
	is("a document of another schema", err, computecore.InvalidJSON)
	if _, err := s.OpenContainer("refused"); err != nil {
		t.Errorf("a container that was refused is still there: %v", err)
	}
}

func (s *suite) container(t *testing.T) {
	ctx := patience(t)
	ctr, err := s.CreateContainer(ctx, "life", document("life", "sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateContainer(ctx, "life", document("life", "sleep", "1000")); err == nil {
		t.Error("two containers of one name")
	}
	if err := ctr.Start(ctx); err != nil {
		t.Fatal(err)
	}
	first := s.start(t, ctr.Execute, bridge.ProcessParameters{}) // the container's own process
	t.Run("Exec", func(t *testing.T) { s.exec(t, ctr) })
	t.Run("Console", func(t *testing.T) { s.console(t, ctr) })
	t.Run("Signal", func(t *testing.T) { s.signal(t, ctr) })
	t.Run("Statistics", func(t *testing.T) { s.statistics(t, ctr, first.PID()) })
	t.Run("Reopened", func(t *testing.T) { s.reopened(t, ctr) })
	if err := ctr.Terminate(ctx); err != nil {
		t.Fatal(err)
	}
	wait(t, first, 128+9)
	s.ended(t, ctr)
	if err := ctr.Delete(ctx); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := ctr.Properties(ctx, bridge.ProcessListProperty); !errors.Is(err, computecore.SystemNotFound) {
		t.Errorf("properties of a container that was deleted: %v", err)
	}
}

func (s *suite) exec(t *testing.T, ctr *bridge.Container) {
	p := s.start(t, ctr.Execute, further(false, "sh", "-c", "echo from inside; exit 3"))
	if got := line(t, p.Stdout()); got != "from inside" {
		t.Errorf("output %q", got)
	}
	wait(t, p, 3)
}

func (s *suite) console(t *testing.T, ctr *bridge.Container) {
	params := further(true, "sh", "-c", "echo ready; read line; stty size")
	params.CreateStdInPipe, params.EmulateConsole, params.CreateStdErrPipe = true, true, true
	p := s.start(t, ctr.Execute, params)
	if p.Stderr() != nil {
		t.Error("a console has an error stream")
	}
	if got := line(t, p.Stdout()); got != "ready" {
		t.Fatalf("output %q", got)
	}
	if err := p.Resize(patience(t), 132, 43); err != nil {
		t.Fatal(err)
	}
	io.WriteString(p.Stdin(), "go\n")
	line(t, p.Stdout()) // what was typed
	if got := line(t, p.Stdout()); got != "43 132" {
		t.Errorf("the console's size: %q", got)
	}
	wait(t, p, 0)
}

func (s *suite) signal(t *testing.T, ctr *bridge.Container) {
	p := s.start(t, ctr.Execute, further(false, "sh", "-c", `trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.1; done`))
	if got := line(t, p.Stdout()); got != "ready" {
		t.Fatalf("output %q", got)
	}
	if err := p.Signal(patience(t), bridge.UnixSignal(15)); err != nil {
		t.Fatal(err)
	}
	if got := line(t, p.Stdout()); got != "got it" {
		t.Errorf("output %q", got)
	}
	wait(t, p, 5)
}

func (s *suite) statistics(t *testing.T, ctr *bridge.Container, pid uint32) {
	props, err := ctr.Properties(patience(t), bridge.StatisticsProperty, bridge.ProcessListProperty)
	if err != nil {
		t.Fatal(err)
	}
	var metrics struct {
		Memory struct{ Usage struct{ Usage uint64 } }
		CPU    struct{ Usage struct{ Total uint64 } }
	}
	if err := json.Unmarshal(props.LinuxMetrics, &metrics); err != nil {
		t.Fatalf("%v in %s", err, props.LinuxMetrics)
	}
	if metrics.Memory.Usage.Usage == 0 || metrics.CPU.Usage.Total == 0 {
		t.Errorf("statistics %s", props.LinuxMetrics)
	}
	if len(props.ProcessList) != 1 || props.ProcessList[0].ProcessID != pid {
		t.Errorf("processes %+v, want %d only", props.ProcessList, pid)
	}
}

// reopened asks of a process by its number, as after a restart of the daemon.
func (s *suite) reopened(t *testing.T, ctr *bridge.Container) {
	params := further(false, "sleep", "1000")
	params.CreateStdOutPipe = false
	p := s.start(t, ctr.Execute, params)
	again := ctr.OpenProcess(p.PID())
	if err := again.Kill(patience(t)); err != nil {
		t.Fatal(err)
	}
	wait(t, p, 128+9)
	// The service forgets a process once somebody was told of its end.
	if code, err := again.Wait(patience(t)); code != 128+9 && !errors.Is(err, computecore.ElementNotFound) {
		t.Errorf("the process ended with %d, %v", code, err)
	}
	if err := ctr.OpenProcess(1 << 20).Kill(patience(t)); !errors.Is(err, computecore.ElementNotFound) {
		t.Errorf("kill a process that is not there: %v", err)
	}
}

func (s *suite) gracefulShutdown(t *testing.T) {
	ctx := patience(t)
	ctr, err := s.CreateContainer(ctx, "graceful", document("graceful", "sh", "-c", `trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done`))
	if err != nil {
		t.Fatal(err)
	}
	p := s.start(t, ctr.Execute, bridge.ProcessParameters{CreateStdOutPipe: true})
	if got := line(t, p.Stdout()); got != "ready" {
		t.Fatalf("output %q", got)
	}
	if err := ctr.Modify(ctx, bridge.Modification{
		ResourceType: "ContainerConstraints", RequestType: schema.Update,
		Settings: map[string]any{"Linux": map[string]any{"memory": map[string]any{"limit": 64 << 20}}},
	}); err != nil {
		t.Errorf("limit its memory: %v", err)
	}
	limit := s.start(t, s.Execute, shell("cat /sys/fs/cgroup/memory/containers/graceful/memory.limit_in_bytes"))
	if got := line(t, limit.Stdout()); got != "67108864" {
		t.Errorf("its limit is %s", got)
	}
	if err := ctr.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	wait(t, p, 0)
	s.ended(t, ctr)
}

func (s *suite) stacks(t *testing.T) {
	stacks, err := s.Stacks(patience(t))
	if err != nil || !strings.Contains(stacks, "hcsshim/internal/guest/bridge") {
		t.Errorf("stacks: %.200q, %v", stacks, err)
	}
}

// serviceKilled is last: everybody who waits is told.
func (s *suite) serviceKilled(t *testing.T) {
	ctr, err := s.CreateContainer(patience(t), "last", document("last", "sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	p := s.start(t, ctr.Execute, bridge.ProcessParameters{CreateStdOutPipe: true})
	// Its own answer may be lost, too.
	_, _ = s.Execute(patience(t), shell("kill -9 $(pidof gcs)"))
	<-s.Done()
	if err := s.Err(); !errors.Is(err, bridge.ErrLost) {
		t.Errorf("the bridge ended with %v", err)
	}
	if _, err := p.Wait(patience(t)); !errors.Is(err, bridge.ErrLost) {
		t.Errorf("its process ended with %v", err)
	}
	<-ctr.Exited()
	if _, err := ctr.Exit(); !errors.Is(err, bridge.ErrLost) {
		t.Errorf("its container ended with %v", err)
	}
	if _, err := s.Execute(patience(t), shell("true")); !errors.Is(err, bridge.ErrLost) {
		t.Errorf("a call after the end: %v", err)
	}
	s.Close()
	if err := s.Err(); errors.Is(err, net.ErrClosed) {
		t.Errorf("Close hides why the bridge ended: %v", err)
	}
}

func (s *suite) ended(t *testing.T, ctr *bridge.Container) {
	t.Helper()
	select {
	case <-ctr.Exited():
	case <-patience(t).Done():
		t.Fatal("no notice of the container's end")
	}
	if exit, err := ctr.Exit(); err != nil || exit == "" {
		t.Errorf("the container ended: %q, %v", exit, err)
	}
}
