package tests

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// TestPod walks a pod's life: a kernel of its own, a container, its log, its end.
func TestPod(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "uname -r; echo to stderr >&2; exec sleep 1000", nil)
	eventually(t, "the log has both lines", func() bool {
		b, _ := os.ReadFile(c.logFile())
		return strings.Contains(string(b), " stdout F ") && strings.Contains(string(b), " stderr F to stderr\n")
	})
	hostKernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	kernel := strings.Fields(crictlOut(t, "logs", c.id))[0]
	if kernel == strings.TrimSpace(string(hostKernel)) {
		t.Errorf("the pod runs on the host's kernel %s", kernel)
	}
	if got := crictlOut(t, "ps", "-q", "--state", "running", "--pod", p.id); got != c.id {
		t.Errorf("running containers of the pod: %q, want %q", got, c.id)
	}
	if got := crictlOut(t, "pods", "-q", "--state", "ready", "--id", p.id); got != p.id {
		t.Errorf("ready pods: %q, want %q", got, p.id)
	}
	crictlOut(t, "stop", "-t", "1", c.id)
	if st := c.status(); st.GetState() != runtimeapi.ContainerState_CONTAINER_EXITED || st.GetExitCode() != 137 {
		t.Errorf("after stop: %v, exit code %d; want exited, 137", st.GetState(), st.GetExitCode())
	}
	crictlOut(t, "rm", c.id)
	crictlOut(t, "stopp", p.id)
	if got := crictlOut(t, "pods", "-q", "--state", "ready", "--id", p.id); got != "" {
		t.Errorf("the pod is ready after its stop")
	}
	crictlOut(t, "stopp", p.id) // again: no error
	crictlOut(t, "rmp", p.id)
	if got := crictlOut(t, "pods", "-q", "--id", p.id); got != "" {
		t.Errorf("the pod is listed after its removal")
	}
}

func TestExitCodes(t *testing.T) {
	p := runPod(t, nil)
	for _, c := range []struct {
		name, script string
		code         int32
		reason       string
	}{
		{"ok", "exit 0", 0, "Completed"},
		{"seven", "exit 7", 7, "Error"},
		{"term", "sh -c 'kill -TERM $$'; exit $?", 143, "Error"},
	} {
		st := p.run(c.name, c.script, nil).wait()
		if st.GetExitCode() != c.code || st.GetReason() != c.reason {
			t.Errorf("%s: exit code %d, reason %q; want %d, %q", c.name, st.GetExitCode(), st.GetReason(), c.code, c.reason)
		}
		if st.GetStartedAt() == 0 || st.GetFinishedAt() < st.GetStartedAt() {
			t.Errorf("%s: started %d, finished %d", c.name, st.GetStartedAt(), st.GetFinishedAt())
		}
	}
}

// TestStopSignal wants the image's own signal first, and the grace period before SIGKILL.
func TestStopSignal(t *testing.T) {
	p := runPod(t, nil)
	c := p.create(criclient.ContainerConfig("main", configured), func(cfg *runtimeapi.ContainerConfig) {
		cfg.Args = []string{"trap 'echo asked; exit 5' USR1; echo ready; while :; do sleep 0.1; done"}
	})
	c.start()
	c.waitForLog("ready")
	crictlOut(t, "stop", "-t", "30", c.id)
	if st := c.status(); st.GetExitCode() != 5 {
		t.Errorf("exit code %d, want 5: the image's STOPSIGNAL is SIGUSR1", st.GetExitCode())
	}
}

// TestImageConfig takes command, environment, user and folder from the image.
func TestImageConfig(t *testing.T) {
	p := runPod(t, nil)
	c := p.create(criclient.ContainerConfig("main", configured), func(cfg *runtimeapi.ContainerConfig) {
		cfg.Envs = []*runtimeapi.KeyValue{{Key: "OVERRIDDEN", Value: "pod"}, {Key: "ADDED", Value: "a b"}}
	})
	c.start()
	c.waitForLog("ADDED=a b")
	log := crictlOut(t, "logs", c.id)
	for _, want := range []string{
		"default command", "uid=1000(tester) gid=1000(tester)", "2000(extra)", "/home/tester",
		"FROM_IMAGE=yes", "OVERRIDDEN=pod",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "OVERRIDDEN=image") {
		t.Error("the image's variable was not overridden")
	}
}

// TestLayers reads what upper layers deleted, replaced and covered.
func TestLayers(t *testing.T) {
	p := runPod(t, nil)
	c := p.create(criclient.ContainerConfig("main", layered, "/bin/sleep", "1000"), nil)
	c.start()
	for _, step := range []struct{ script, want string }{
		{"ls /a", "kept\nkept-too\nreplaced"},
		{"cat /a/replaced", "new"},
		{"ls /covered", "above"},
		{"stat -c '%a %u:%g %h' /hard", "644 0:0 2"},
		{"stat -c %a /setuid", "4755"},
		{"stat -c '%a %u:%g' /owned", "640 1000:2000"},
		{"readlink /link", "a/kept"},
		{"echo x > /new && cat /new", "x"},
		{"rm /a/kept && ls /a", "kept-too\nreplaced"},
		{"mkdir -p /d/e && rmdir /d/e && ls /d", ""},
	} {
		if got := c.exec(step.script); got != step.want {
			t.Errorf("%s: %q, want %q", step.script, got, step.want)
		}
	}
}

// TestVerboseStatus wants addresses of both families, and the start step by step.
func TestVerboseStatus(t *testing.T) {
	p := runPod(t, nil)
	resp, err := env.client.Runtime.PodSandboxStatus(t.Context(),
		&runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.id, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := resp.GetStatus().GetNetwork(); n.GetIp() == "" || len(n.GetAdditionalIps()) != 1 {
		t.Errorf("addresses %v, want one of IPv4 and one of IPv6", n)
	}
	var steps []struct {
		Name     string `json:"name"`
		Duration string `json:"duration"`
	}
	if err := json.Unmarshal([]byte(resp.GetInfo()["timeline"]), &steps); err != nil || len(steps) == 0 {
		t.Errorf("timeline %q: %v", resp.GetInfo()["timeline"], err)
	}
	if resp.GetInfo()["kernel"] == "" {
		t.Error("verbose status lacks the kernel")
	}
	if out := crictlOut(t, "inspectp", p.id); !strings.Contains(out, p.id) {
		t.Errorf("inspectp: %s", out)
	}
}
