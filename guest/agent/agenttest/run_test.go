//go:build linux

package agenttest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/client"
)

// TestAgent drives one VM through every call; the cases do not depend on each other.
func TestAgent(t *testing.T) {
	m, c := Pod(t)
	before := leftovers(t, c)
	if strings.Contains(before, "rehearsal") {
		t.Errorf("the rehearsal left something:\n%s", before)
	}
	if _, err := c.Rehearse(Context(t), &api.RehearseRequest{Container: Rehearsal()}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("rehearse in a pod: %v, want FailedPrecondition", err)
	}
	for _, tt := range []struct {
		name string
		test func(*testing.T, *Machine, *client.Client)
	}{
		{"run", testRun},
		{"errors", testErrors},
		{"users", testUsers},
		{"exec", testExec},
		{"terminal", testTerminal},
		{"stdin", testStdin},
		{"resume", testResume},
		{"signals", testSignals},
		{"oom", testOOM},
		{"pid modes", testPIDModes},
		{"mounts", testMounts},
		{"image volumes", testImageVolumes},
		{"disks", testDisks},
		{"network", testNetwork},
		{"port forward", testPortForward},
		{"stats and update", testStats},
		{"limits", testLimits},
		{"parallel", testParallel},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, m, c) })
	}
	if _, err := c.ConfigureSandbox(Context(t), configuration()); err != nil {
		t.Errorf("the same configuration again: %v", err)
	}
	if after := leftovers(t, c); after != before {
		t.Errorf("the containers left something: before:\n%s\nafter:\n%s", before, after)
	}
	if _, err := c.Shutdown(Context(t), &api.ShutdownRequest{}); err != nil {
		t.Fatalf("shut down: %v", err)
	}
	select {
	case <-m.exited:
	case <-Context(t).Done():
		t.Fatal("the VM did not power off")
	}
}

// leftovers counts the VM's mounts and its containers' cgroups, as a container
// in the VM's own PID namespace sees them.
func leftovers(t *testing.T, c *client.Client) string {
	t.Helper()
	req := Request("look", "grep -c -e overlay -e ' /l/' /proc/1/mountinfo; ls /proc/1/root/sys/fs/cgroup/pod | grep -v [.]; ls /proc/1/root/run/paddock/c /proc/1/root/run/crun /proc/1/root/s/c")
	req.PidMode = api.PIDMode_PID_MODE_NODE
	req.Spec = bytes.ReplaceAll(req.Spec, []byte(`"CAP_CHOWN"`), []byte(`"CAP_CHOWN","CAP_SYS_PTRACE"`))
	out, errs, exit := Run(t, c, req)
	if exit.Code != 0 {
		t.Fatalf("look for leftovers: %v, %s", exit, errs)
	}
	return out
}

func testRun(t *testing.T, _ *Machine, c *client.Client) {
	out, errs, exit := Run(t, c, Request("c1", "cat /etc/layer; hostname; echo err >&2; sysctl -n net.core.somaxconn; exit 7"))
	if out != "top\npod\n777\n" || errs != "err\n" || exit.Code != 7 || exit.Signal != 0 {
		t.Fatalf("stdout %q, stderr %q, exit %v", out, errs, exit)
	}
	if out, errs, _ := Run(t, c, Request("personality", "cat /proc/self/personality")); out != "00000000\n" {
		t.Errorf("the container's process has the OCI runtime's personality: %q, %q", out, errs)
	}
	req := Request("ro", "touch /x 2>/dev/null && echo wrote; touch /tmp/x")
	req.ReadOnlyRootfs = true
	if out, errs, _ := Run(t, c, Request("c1-root", "ls /")); strings.Contains(out, "lost+found") || !strings.Contains(out, "bin") {
		t.Errorf("the root folder shows the layers' disks: %q, %q", out, errs)
	}
	if out, errs, _ := Run(t, c, req); out != "" || !strings.Contains(errs, "Read-only") {
		t.Fatalf("read-only root: stdout %q, stderr %q", out, errs)
	}
}

func testErrors(t *testing.T, _ *Machine, c *client.Client) {
	missing := Request("missing", "")
	missing.Spec = Spec("/no/such/program")
	_, err := c.CreateContainer(Context(t), missing)
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "/no/such/program") || !strings.Contains(err.Error(), "No such file") {
		t.Errorf("missing program: %v", err)
	}
	unknown := &api.StartContainerRequest{Id: "nobody"}
	if _, err := c.StartContainer(Context(t), unknown); status.Code(err) != codes.NotFound {
		t.Errorf("start an unknown container: %v", err)
	}
	Start(t, c, Request("once", "sleep 1000"))
	defer Delete(t, c, "once")
	if _, err := c.CreateContainer(Context(t), Request("once", "true")); status.Code(err) != codes.AlreadyExists {
		t.Errorf("create twice: %v", err)
	}
	if _, err := c.StartContainer(Context(t), &api.StartContainerRequest{Id: "once"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("start twice: %v", err)
	}
	noDisk := Request("nodisk", "true")
	noDisk.Layers[0].Disk.Lun = 200
	if _, err := c.CreateContainer(Context(t), noDisk); err == nil || !strings.Contains(err.Error(), "LUN 200") {
		t.Errorf("a disk that is not there: %v", err)
	}
	if _, err := c.ConfigureSandbox(Context(t), &api.ConfigureSandboxRequest{Hostname: "other"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("configure again, differently: %v", err)
	}
}

func testUsers(t *testing.T, _ *Machine, c *client.Client) {
	uid, gid := int64(1002), int64(77)
	for _, tt := range []struct {
		name string
		user *api.User
		out  string
		code codes.Code
	}{
		{"root", nil, "0 0 0 /root", 0},
		{"name", &api.User{User: "web"}, "1002 1002 1002 50000 /home/web", 0},
		{"uid", &api.User{Uid: &uid, Gid: &gid, SupplementalGroups: []uint32{9}}, "1002 77 77 9 50000 /home/web", 0},
		{"strict", &api.User{Uid: &uid, SupplementalGroups: []uint32{9}, StrictGroups: true}, "1002 1002 1002 9 /home/web", 0},
		{"nobody", &api.User{User: "4242:4343"}, "4242 4343 4343 /", 0},
		{"unknown", &api.User{User: "ghost"}, "", codes.InvalidArgument},
		{"not root", &api.User{MustNotBeRoot: true}, "", codes.FailedPrecondition},
	} {
		req := Request("user", `echo $(id -u) $(id -g) $(id -G) $HOME`)
		req.User = tt.user
		if tt.code != 0 {
			if _, err := c.CreateContainer(Context(t), req); status.Code(err) != tt.code {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if out, errs, _ := Run(t, c, req); strings.TrimSpace(out) != tt.out {
			t.Errorf("%s: have %q, want %q (%s)", tt.name, out, tt.out, errs)
		}
	}
}

func testSignals(t *testing.T, _ *Machine, c *client.Client) {
	Start(t, c, Request("sig", `trap 'echo usr1; exit 3' USR1; echo ready; while :; do sleep 0.05; done`))
	defer Delete(t, c, "sig")
	waitOutput(t, c, "sig", "ready\n")
	if _, err := c.SignalProcess(Context(t), &api.SignalProcessRequest{ContainerId: "sig", Signal: 10}); err != nil {
		t.Fatal(err)
	}
	if exit := Wait(t, c, "sig", ""); exit.Code != 3 {
		t.Fatalf("exit %v", exit)
	}
	if _, err := c.SignalProcess(Context(t), &api.SignalProcessRequest{ContainerId: "sig", Signal: 10}); status.Code(err) != codes.NotFound {
		t.Errorf("signal an ended process: %v", err)
	}
	Start(t, c, Request("kill", "sleep 1000 & sleep 1000"))
	defer Delete(t, c, "kill")
	if _, err := c.SignalProcess(Context(t), &api.SignalProcessRequest{ContainerId: "kill", Signal: 9, All: true}); err != nil {
		t.Fatal(err)
	}
	if exit := Wait(t, c, "kill", ""); exit.Code != 137 || exit.Signal != 9 || exit.OomKilled {
		t.Fatalf("exit %v", exit)
	}
}

// waitOutput reads a container's output until it has the text, and forgets none of it.
func waitOutput(t *testing.T, c *client.Client, id, want string) {
	t.Helper()
	r, err := c.OpenOutput(Context(t), &api.StdioStream{ContainerId: id, Stdio: api.Stdio_STDIO_STDOUT})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("output %q, %v; want %q", got, err, want)
	}
}

func testParallel(t *testing.T, _ *Machine, c *client.Client) {
	var all sync.WaitGroup
	begin := time.Now()
	for i := range 20 {
		all.Go(func() {
			id := fmt.Sprintf("p%d", i)
			resp, err := c.CreateContainer(Context(t), Request(id, "echo "+id))
			if err != nil {
				t.Errorf("create %s: %v", id, err)
				return
			}
			if _, err := c.StartContainer(Context(t), &api.StartContainerRequest{Id: id}); err != nil {
				t.Errorf("start %s (PID %d): %v", id, resp.Pid, err)
			}
			if exit := Wait(t, c, id, ""); exit.GetCode() != 0 {
				t.Errorf("%s: exit %v", id, exit)
			}
			if out := Output(t, c, id, "", api.Stdio_STDIO_STDOUT); out != id+"\n" {
				t.Errorf("%s: output %q", id, out)
			}
			Delete(t, c, id)
		})
	}
	all.Wait()
	t.Logf("20 containers in %v", time.Since(begin))
	list, err := c.ListContainers(Context(t), &api.ListContainersRequest{})
	if err != nil || len(list.Containers) != 0 {
		t.Errorf("containers left: %v, %v", list, err)
	}
}
