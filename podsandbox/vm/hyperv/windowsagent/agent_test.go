package windowsagent

import (
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
)

func TestContainer(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ConfigureSandbox(soon(t), &api.ConfigureSandboxRequest{Hostname: "web-0", Dns: &api.DNS{Searches: []string{"svc", "local"}}}); err != nil {
		t.Fatal(err)
	}
	req := request("c1", "echo hello")
	req.Spec = encodeSpec(t, 257<<20, 200_000)
	req.Mounts = []*api.Mount{
		{Destination: "C:/config", ReadOnly: true, Source: &api.Mount_Disk{Disk: &api.DiskSource{Disk: &api.DiskAddress{Controller: folders, Lun: 2}, Subpath: "a/b"}}},
		{Destination: "C:/cache", Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "emptydir/cache"}}},
		{Destination: "C:/image", Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "volumes/x", CopyUpFrom: "C:/image"}}},
	}
	w.run(req)
	if got := w.output("c1", "", api.Stdio_STDIO_STDOUT); got != "hello <&>\r\n" {
		t.Errorf("output %q", got)
	}
	if got := w.output("c1", "", api.Stdio_STDIO_STDERR); got != "to the error stream\r\n" {
		t.Errorf("error output %q", got)
	}
	w.wait("c1", "", 0)
	list, err := w.ListContainers(soon(t), &api.ListContainersRequest{})
	if err != nil || len(list.Containers) != 1 || list.Containers[0].State != api.ProcessState_PROCESS_STATE_ENDED {
		t.Errorf("%v, %v", list, err)
	}
	w.delete("c1")
	want := `{"SchemaVersion":{"Major":2,"Minor":1},"Container":{"GuestOs":{"HostName":"web-0"},` +
		`"Storage":{"Layers":[{"Id":"layer-1","Path":"SHARE1"},{"Id":"layer-0","Path":"SHARE0"}],"Path":"C:\\mounts\\scsi\\m5"},` +
		`"MappedDirectories":[{"HostPath":"SHARE2\\a\\b","ContainerPath":"C:\\config","ReadOnly":true},` +
		`{"HostPath":"C:\\SandboxMounts\\emptydir\\cache","ContainerPath":"C:\\cache"}],` +
		`"Memory":{"SizeInMB":258},"Processor":{"Maximum":5000},` +
		`"Networking":{"AllowUnqualifiedDnsQuery":true,"DnsSearchList":"svc,local","Namespace":"` + namespace + `"}}}`
	want = strings.ReplaceAll(want, "SHARE", strings.ReplaceAll(share, `\`, `\\`))
	if got := string(w.guest.Document(guestID("c1"))); got != "" {
		t.Errorf("the guest still knows %s", got)
	}
	w.run(req)
	if got := string(w.guest.Document(guestID("c1"))); got != want {
		t.Errorf("document %s\nwant     %s", got, want)
	}
	w.delete("c1")
}

func TestProcesses(t *testing.T) {
	w := newWorld(t)
	w.run(request("c1", "wait"))
	exec := func(id string, req *api.ExecRequest) {
		t.Helper()
		req.ContainerId, req.ExecId = "c1", id
		if _, err := w.Exec(soon(t), req); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("arguments and exit code", func(t *testing.T) {
		exec("e1", &api.ExecRequest{Windows: &api.WindowsProcess{Args: []string{"exit", "3221225786"}}})
		w.wait("c1", "e1", 0xC000013A)
		exec("e2", &api.ExecRequest{Windows: &api.WindowsProcess{Args: []string{"echo", "a b"}, Env: []string{"SUFFIX=!"}}})
		if got := w.output("c1", "e2", api.Stdio_STDIO_STDOUT); got != "\"a b\"!\r\n" {
			t.Errorf("output %q", got)
		}
	})
	t.Run("input", func(t *testing.T) {
		exec("e3", &api.ExecRequest{Stdin: true, Windows: &api.WindowsProcess{Args: []string{"cat"}}})
		first, err := w.OpenStdin(soon(t), "c1", "e3")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(first, "one ")
		first.Close() // not the end of the input
		second, err := w.OpenStdin(soon(t), "c1", "e3")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(second, "two")
		second.(interface{ CloseWrite() error }).CloseWrite()
		if got := w.output("c1", "e3", api.Stdio_STDIO_STDOUT); got != "one two" {
			t.Errorf("output %q", got)
		}
		w.wait("c1", "e3", 0)
	})
	t.Run("input that nobody ends", func(t *testing.T) {
		exec("e6", &api.ExecRequest{Stdin: true, Windows: &api.WindowsProcess{Args: []string{"exit", "0"}}})
		w.wait("c1", "e6", 0)
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			w.mu.Lock()
			n := w.open
			w.mu.Unlock()
			if n == 2 { // those of the container's own process
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d streams are open", n)
			}
		}
	})
	t.Run("terminal", func(t *testing.T) {
		exec("e4", &api.ExecRequest{Terminal: true, Windows: &api.WindowsProcess{Args: []string{"size"}}})
		if _, err := w.ResizeTerminal(soon(t), &api.ResizeTerminalRequest{ContainerId: "c1", ExecId: "e4", Width: 120, Height: 40}); err != nil {
			t.Fatal(err)
		}
		if got := w.output("c1", "e4", api.Stdio_STDIO_STDOUT); got != "120x40\r\n" && got != "ready\r\n120x40\r\n" {
			t.Errorf("output %q", got)
		}
		w.wait("c1", "e4", 0)
		if _, err := w.ResizeTerminal(soon(t), &api.ResizeTerminalRequest{ContainerId: "c1", Width: 1, Height: 1}); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("resize without a terminal: %v", err)
		}
	})
	t.Run("statistics", func(t *testing.T) {
		s, err := w.Stats(soon(t), &api.StatsRequest{Pod: true})
		if err != nil || len(s.Containers) != 1 || s.Containers[0].Cpu.UsageNanos != 3000 || s.Containers[0].Memory.WorkingSetBytes != 2048 ||
			s.Containers[0].Pids != 1 || s.Pod.Memory.UsageBytes != 4096 {
			t.Errorf("%v, %v", s, err)
		}
	})
	t.Run("limits", func(t *testing.T) {
		if _, err := w.UpdateContainer(soon(t), &api.UpdateContainerRequest{Id: "c1", Resources: []byte(`{"memory":{"limit":536870912},"cpu":{"quota":50000,"period":100000}}`)}); err != nil {
			t.Error(err)
		}
		if asked := strings.Join(w.guest.Asked(), "\n"); !strings.Contains(asked, "Container/Memory/SizeInMB Update") || !strings.Contains(asked, "Container/Processor Update") {
			t.Errorf("asked was:\n%s", asked)
		}
	})
	t.Run("signals", func(t *testing.T) {
		exec("e5", &api.ExecRequest{Windows: &api.WindowsProcess{Args: []string{"wait"}}})
		if _, err := w.SignalProcess(soon(t), &api.SignalProcessRequest{ContainerId: "c1", ExecId: "e5", Event: api.ControlEvent_CONTROL_EVENT_CTRL_C}); err != nil {
			t.Error(err)
		}
		w.wait("c1", "e5", 0xC000013A)
		if _, err := w.SignalProcess(soon(t), &api.SignalProcessRequest{ContainerId: "c1", ExecId: "e5", Signal: sigKill}); status.Code(err) != codes.NotFound {
			t.Errorf("to a process that has ended: %v", err)
		}
		if _, err := w.SignalProcess(soon(t), &api.SignalProcessRequest{ContainerId: "c1", Signal: 15}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("a signal of Linux: %v", err)
		}
		if _, err := w.SignalProcess(soon(t), &api.SignalProcessRequest{ContainerId: "c1", Signal: sigKill, All: true}); err != nil {
			t.Error(err)
		}
		w.wait("c1", "", 0xFFFFFFFF)
	})
	w.delete("c1")
}

// A container's exit code is not lost when the daemon is killed, nor when the bridge breaks.
func TestDaemonIsKilled(t *testing.T) {
	w := newWorld(t)
	w.run(request("c1", "wait"))
	if got := w.line("c1", ""); got != "waiting" {
		t.Errorf("output %q", got)
	}
	w.restart()
	list, err := w.ListContainers(soon(t), &api.ListContainersRequest{})
	if err != nil || len(list.Containers) != 1 || list.Containers[0].State != api.ProcessState_PROCESS_STATE_RUNNING {
		t.Fatalf("%v, %v", list, err)
	}
	r, err := w.OpenOutput(soon(t), &api.StdioStream{ContainerId: "c1", Stdio: api.Stdio_STDIO_STDOUT, Offset: 9})
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("output that was lost: %q, %v", rest, err)
	}
	r.Close()
	w.guest.Break()
	for { // a call that meets the bridge as it breaks fails
		_, err := w.Exec(soon(t), &api.ExecRequest{ContainerId: "c1", ExecId: "e", Windows: &api.WindowsProcess{Args: []string{"exit", "3"}}})
		if err == nil {
			break
		}
		if status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
	}
	w.wait("c1", "e", 3)
	if _, err := w.SignalProcess(soon(t), &api.SignalProcessRequest{ContainerId: "c1", Event: api.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN}); err != nil {
		t.Fatal(err)
	}
	w.wait("c1", "", 0xC000013A)
	w.restart()
	w.wait("c1", "", 0xC000013A)
	w.delete("c1")
}

func TestWhatCannotBeMade(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*api.CreateContainerRequest)
		want   codes.Code
	}{
		"a Linux container":      {func(r *api.CreateContainerRequest) { r.Windows = nil }, codes.InvalidArgument},
		"without a scratch disk": {func(r *api.CreateContainerRequest) { r.Windows.Scratch = nil }, codes.InvalidArgument},
		"without layers":         {func(r *api.CreateContainerRequest) { r.Layers = nil }, codes.InvalidArgument},
		"a layer that is not there": {func(r *api.CreateContainerRequest) {
			r.Layers[0] = &api.Layer{Disk: &api.DiskAddress{Controller: folders, Lun: 9}}
		}, codes.InvalidArgument},
		"a volume in memory": {func(r *api.CreateContainerRequest) {
			r.Mounts = []*api.Mount{{Destination: "C:/m", Source: &api.Mount_Tmpfs{Tmpfs: &api.TmpfsSource{}}}}
		}, codes.Unimplemented},
		"a file share": {func(r *api.CreateContainerRequest) {
			r.Mounts = []*api.Mount{{Destination: "C:/m", Source: &api.Mount_Share{Share: &api.ShareSource{ShareId: "s"}}}}
		}, codes.Unimplemented},
		"a folder that cmd would read": {func(r *api.CreateContainerRequest) {
			r.Mounts = []*api.Mount{{Destination: "C:/m", Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "a & del"}}}}
		}, codes.InvalidArgument},
		"a folder outside the pod's": {func(r *api.CreateContainerRequest) {
			r.Mounts = []*api.Mount{{Destination: "C:/m", Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "../Windows"}}}}
		}, codes.InvalidArgument},
		"a program that is not there": {func(r *api.CreateContainerRequest) { r.Windows.Process.CommandLine = "nonsense" }, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			req := request("c1", "wait")
			c.change(req)
			_, err := w.CreateContainer(soon(t), req)
			if status.Code(err) != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.want == codes.OK {
				if _, err := w.StartContainer(soon(t), &api.StartContainerRequest{Id: "c1"}); err == nil || !strings.Contains(err.Error(), "nonsense") {
					t.Errorf("start: %v", err)
				}
			}
			w.delete("c1")
		})
	}
	if _, err := w.OpenPort(soon(t), 80); status.Code(err) != codes.Unimplemented {
		t.Errorf("port: %v", err)
	}
}

// What a guest refuses half-way leaves nothing.
func TestUndo(t *testing.T) {
	w := newWorld(t)
	req := request("c1", "wait")
	req.Mounts = []*api.Mount{{Destination: "relative", Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "a"}}}}
	if _, err := w.CreateContainer(soon(t), req); err == nil {
		t.Error("the guest took a path that is none")
	}
	if left := w.guest.Left(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	for _, step := range []string{"Modify MappedVirtualDisk Add", "Modify CombinedLayers Add", "Create " + guestID("c1")} {
		w.guest.RefuseNext(step)
		if _, err := w.CreateContainer(soon(t), request("c1", "wait")); err == nil || !strings.Contains(err.Error(), "as a test wants") {
			t.Errorf("%s was refused: %v", step, err)
		}
		if left := w.guest.Left(); len(left) > 0 {
			t.Errorf("%s was refused; left: %q", step, left)
		}
	}
	w.run(request("c1", "wait"))
	if _, err := w.CreateContainer(soon(t), request("c1", "wait")); status.Code(err) != codes.AlreadyExists {
		t.Errorf("the same id again: %v", err)
	}
	w.delete("c1")
}
