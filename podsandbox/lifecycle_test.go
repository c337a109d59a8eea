package podsandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

func TestLifeOfAPod(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	events := w.m.Subscribe(ctx)
	pod := w.run("a")
	status, err := w.m.Sandbox(pod[:10])
	if err != nil || status.State != SandboxReady || len(status.Network.IPs()) != 2 || status.Kernel == "" || len(status.Timeline) < 5 {
		t.Fatalf("sandbox: %+v, %v", status, err)
	}
	conf := w.agent(pod).Configured()
	if conf.Hostname != pod[:12] || conf.Dns.Servers[0] != "10.0.0.1" || len(conf.Network.Interfaces) != 2 || !conf.SharedPid {
		t.Errorf("configured: %v", conf)
	}
	if _, err := w.m.RunSandbox(ctx, w.sandboxConfig("a")); !errors.Is(err, ErrExists) {
		t.Errorf("same name again: %v", err)
	}

	id := w.create(pod, "c")
	if _, err := w.m.CreateContainer(ctx, pod, containerConfig("c")); !errors.Is(err, ErrExists) {
		t.Errorf("same container name again: %v", err)
	}
	if err := w.m.StartContainer(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := w.m.StartContainer(ctx, id); !errors.Is(err, ErrState) {
		t.Errorf("start again: %v", err)
	}
	init := w.agent(pod).Container(id).Init
	io.WriteString(init.Stdout, "one\ntwo")
	io.WriteString(init.Stderr, "bad\n")
	init.Exit(&guestapi.Exit{Code: 7})
	st := w.await(id, ContainerExited)
	if st.ExitCode != 7 || st.Reason != "Error" || st.Finished.Before(st.Started) || st.StopSignal != "SIGINT" || st.ImageRef != "busybox@sha256:2" {
		t.Errorf("exited: %+v", st)
	}
	lines := w.logLines(id)
	slices.Sort(lines)
	if want := []string{"stderr F bad", "stdout F one", "stdout P two"}; !slices.Equal(lines, want) {
		t.Errorf("log %q, want %q", lines, want)
	}
	for range 2 {
		if err := w.m.RemoveContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if disks := w.vms.Disks(pod[:vmIDLength]); len(disks) != 1 {
		t.Errorf("disks left: %v", disks)
	}
	for range 2 {
		if err := w.m.StopSandbox(ctx, pod); err != nil {
			t.Fatal(err)
		}
		if s, _ := w.m.Sandbox(pod); s.State != SandboxNotReady || s.Network != nil {
			t.Errorf("stopped: %+v", s)
		}
	}
	if _, err := w.m.CreateContainer(ctx, pod, containerConfig("late")); !errors.Is(err, ErrState) {
		t.Errorf("create in a stopped sandbox: %v", err)
	}
	for range 2 {
		if err := w.m.RemoveSandbox(ctx, pod); err != nil {
			t.Fatal(err)
		}
	}
	w.nothingLeft()
	var kinds []EventKind
	for len(kinds) < 8 {
		kinds = append(kinds, (<-events).Kind)
	}
	if want := []EventKind{EventCreated, EventStarted, EventCreated, EventStarted, EventStopped, EventDeleted, EventStopped, EventDeleted}; !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
}

func TestEveryFailedStepLeavesNothing(t *testing.T) {
	boom := errors.New("boom")
	for _, step := range []string{"vm", "network", "Scratch", "Shares.Start", "Personalize", "ConfigureSandbox"} {
		t.Run("sandbox "+step, func(t *testing.T) {
			w := newWorld(t)
			w.setFail(step, boom)
			if _, err := w.m.RunSandbox(t.Context(), w.sandboxConfig("a")); err == nil || !strings.Contains(err.Error(), "boom") {
				t.Fatalf("error %v", err)
			}
			w.nothingLeft()
			w.setFail(step, nil)
			w.run("a") // the name is free again
		})
	}
	for _, step := range []string{"Layers", "Shares.Add", "AttachShare", "CreateContainer", "CreateContainer, answer"} {
		t.Run("container "+step, func(t *testing.T) {
			w := newWorld(t)
			pod := w.run("a")
			cfg := containerConfig("c")
			cfg.Mounts = []Mount{{ContainerPath: "/x", HostPath: t.TempDir()}}
			w.setFail(step, boom)
			if _, err := w.m.CreateContainer(t.Context(), pod, cfg); err == nil || !strings.Contains(err.Error(), "boom") {
				t.Fatalf("error %v", err)
			}
			if n := w.agent(pod).Containers() + w.agent(pod).Shares() + w.shares.servers[pod].count() + len(w.images.leases); n != 0 {
				t.Errorf("%d things left", n)
			}
			if d := w.vms.Disks(pod[:vmIDLength]); len(d) != 1 {
				t.Errorf("disks %v", d)
			}
			w.setFail(step, nil)
			if _, err := w.m.CreateContainer(t.Context(), pod, cfg); err != nil {
				t.Fatal(err)
			}
			if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
				t.Fatal(err)
			}
			w.nothingLeft()
		})
	}
}

func TestCancelledRunLeavesNothing(t *testing.T) {
	for _, step := range []string{"vm", "network", "Scratch", "Shares.Start", "Personalize", "ConfigureSandbox"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			w.onStep(step, cancel)
			if _, err := w.m.RunSandbox(ctx, w.sandboxConfig("a")); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			w.nothingLeft()
		})
	}
}

func TestStartErrorEndsTheContainer(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	id := w.create(pod, "c")
	w.setFail("StartContainer", errors.New("no such file"))
	if err := w.m.StartContainer(t.Context(), id); err == nil {
		t.Fatal("started")
	}
	if st := w.await(id, ContainerExited); st.ExitCode != 128 || st.Reason != "StartError" || !strings.Contains(st.Message, "no such file") {
		t.Errorf("status %+v", st)
	}
}

func TestStopContainer(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	polite, stubborn := w.started(pod, "polite"), w.started(pod, "stubborn")
	if err := w.m.StopContainer(t.Context(), polite, time.Minute); err != nil {
		t.Fatal(err)
	}
	if st := w.await(polite, ContainerExited); st.ExitCode != 128+2 {
		t.Errorf("exit code %d, want SIGINT's", st.ExitCode)
	}
	w.agent(pod).Container(stubborn).Init.IgnoreTerm = true
	done := make(chan error, 2)
	go func() { done <- w.m.StopContainer(t.Context(), stubborn, time.Hour) }()
	go func() { done <- w.m.StopContainer(t.Context(), stubborn, 10*time.Millisecond) }()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if st := w.await(stubborn, ContainerExited); st.ExitCode != 137 {
		t.Errorf("exit code %d", st.ExitCode)
	}
	if err := w.m.StopContainer(t.Context(), "unknown", 0); err != nil {
		t.Error(err)
	}
}

func TestVMDeath(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	running, created := w.started(pod, "r"), w.create(pod, "c")
	w.vms.Kill(pod[:vmIDLength])
	for _, id := range []string{running, created} {
		if st := w.await(id, ContainerExited); st.ExitCode != 255 || st.Reason != "VMExited" || !strings.Contains(st.Message, "killed") {
			t.Errorf("status %+v", st)
		}
	}
	if _, _, _, err := w.m.ExecSync(t.Context(), running, []string{"echo", "x"}, 0); !errors.Is(err, ErrState) {
		t.Errorf("exec: %v", err)
	}
	if err := w.m.StopSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
}

func TestExecAttachAndPortForward(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pod := w.run("a")
	id := w.started(pod, "c")
	out, errs, code, err := w.m.ExecSync(ctx, id, []string{"echo", "hi"}, time.Minute)
	if err != nil || string(out) != "hi\n" || string(errs) != "error\n" || code != 3 {
		t.Fatalf("exec: %q %q %d %v", out, errs, code, err)
	}
	if _, _, _, err := w.m.ExecSync(ctx, id, []string{"sleep"}, 20*time.Millisecond); !errors.Is(err, ErrTimeout) {
		t.Fatalf("exec with a timeout: %v", err)
	}
	var copied bytes.Buffer
	if code, err := w.m.Exec(ctx, id, []string{"cat"}, Streams{Stdin: strings.NewReader("input"), Stdout: &copied}); err != nil || code != 0 || copied.String() != "input" {
		t.Fatalf("cat: %q %d %v", &copied, code, err)
	}
	if n := w.agent(pod).Container(id).Execs(); n != 0 {
		t.Errorf("%d execs are not forgotten", n)
	}

	init := w.agent(pod).Container(id).Init
	stdin, typed := io.Pipe()
	seen, shown := io.Pipe()
	attached := make(chan error, 1)
	go func() { attached <- w.m.Attach(ctx, id, Streams{Stdin: stdin, Stdout: shown}) }()
	go io.WriteString(typed, "typed")
	buf := make([]byte, 5)
	if _, err := io.ReadFull(init.Stdin, buf); err != nil || string(buf) != "typed" {
		t.Fatalf("stdin: %q %v", buf, err)
	}
	io.WriteString(init.Stdout, "shown")
	if _, err := io.ReadFull(seen, buf); err != nil || string(buf) != "shown" {
		t.Fatalf("stdout: %q %v", buf, err)
	}
	init.Exit(&guestapi.Exit{})
	if err := <-attached; err != nil {
		t.Errorf("attach: %v", err)
	}

	mine, theirs := pipe()
	forwarded := make(chan error, 1)
	go func() { forwarded <- w.m.PortForward(ctx, pod, 80, theirs) }()
	io.WriteString(mine, "ping!")
	if _, err := io.ReadFull(mine, buf); err != nil || string(buf) != "ping!" {
		t.Fatalf("forwarded: %q %v", buf, err)
	}
	mine.Close()
	if err := <-forwarded; err != nil {
		t.Errorf("port forward: %v", err)
	}
}

// TestFirstSizeOfATerminal: a terminal has its size before its program runs, and a client that tells none is not waited for.
func TestFirstSizeOfATerminal(t *testing.T) {
	w := newWorld(t)
	id := w.started(w.run("a"), "c")
	told, closed := make(chan TerminalSize, 1), make(chan TerminalSize)
	told <- TerminalSize{Width: 99, Height: 33}
	close(closed)
	for _, c := range []struct {
		name  string
		sizes <-chan TerminalSize
		want  string
	}{{"told", told, "99x33"}, {"never told", make(chan TerminalSize), "0x0"}, {"closed", closed, "0x0"}, {"none", nil, "0x0"}} {
		var out bytes.Buffer
		code, err := w.m.Exec(t.Context(), id, []string{"size"}, Streams{Stdout: &out, TTY: true, Resize: c.sizes})
		if err != nil || code != 0 || out.String() != c.want {
			t.Errorf("%s: the terminal began with %q, code %d, %v; want %s", c.name, &out, code, err, c.want)
		}
	}
}

func TestMounts(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	dir := t.TempDir()
	empty := filepath.Join(dir, "pods/a-uid/volumes/kubernetes.io~empty-dir/cache")
	if err := os.MkdirAll(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	cfg := containerConfig("c")
	missing := filepath.Join(dir, "not/there")
	cfg.Mounts = []Mount{
		{ContainerPath: "/cache/deep", HostPath: empty}, {ContainerPath: "/h", HostPath: missing, ReadOnly: true},
		{ContainerPath: "/h2", HostPath: missing, ReadOnly: true}, {ContainerPath: "/etc/hosts", HostPath: dir},
	}
	id, err := w.m.CreateContainer(t.Context(), pod, cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*guestapi.Mount{}
	for _, m := range w.agent(pod).Container(id).Request.Mounts {
		got[m.Destination] = m
	}
	if s := got["/cache/deep"].GetScratch(); s.GetName() != "emptydir/cache" {
		t.Errorf("emptyDir: %v", got["/cache/deep"])
	}
	if a, b := got["/h"].GetShare().GetShareId(), got["/h2"].GetShare().GetShareId(); a == "" || a != b || !got["/h"].ReadOnly {
		t.Errorf("shares %q and %q", a, b)
	}
	if _, err := os.Stat(missing); err != nil {
		t.Errorf("host path was not made: %v", err)
	}
	if got["/etc/hosts"].GetShare() == nil || got["/etc/resolv.conf"].GetSandboxFile() != guestapi.SandboxFile_SANDBOX_FILE_RESOLV_CONF {
		t.Errorf("sandbox files: %v", got)
	}
	if v := got["/data"].GetScratch(); v.GetCopyUpFrom() != "/data" {
		t.Errorf("image volume: %v", got["/data"])
	}
	if n := w.shares.servers[pod].count(); n != 2 {
		t.Errorf("%d shares, want 2", n)
	}
	if err := w.m.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n := w.shares.servers[pod].count() + w.agent(pod).Shares(); n != 0 {
		t.Errorf("%d shares left", n)
	}
}
