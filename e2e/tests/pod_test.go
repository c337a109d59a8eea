package tests

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// stepTimeout bounds one step of a test, generously: machines without
// hardware virtualisation run guests slowly.
const stepTimeout = 60 * time.Second

// crictlOut runs crictl and returns what it printed; the test fails if it does.
func crictlOut(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	out, err := env.cli.Run(ctx, args...)
	if err != nil {
		t.Fatalf("%v\nstdout: %s\ndaemon: %s", err, out, env.daemon.LogTail(15))
	}
	return strings.TrimRight(out, "\n")
}

// crictlErr runs crictl, which must fail, and returns its error.
func crictlErr(t *testing.T, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	out, err := env.cli.Run(ctx, args...)
	if err == nil {
		t.Fatalf("crictl %v succeeded, want an error; it printed %q", args, out)
	}
	return err
}

// pod is a running sandbox.
type pod struct {
	t       *testing.T
	id      string
	handler string
	config  *runtimeapi.PodSandboxConfig
	file    string // config, as crictl reads it
}

// runPod starts a sandbox, removed with the test. change may be nil.
func runPod(t *testing.T, change func(*runtimeapi.PodSandboxConfig)) *pod {
	t.Helper()
	return runPodBy(t, "lcow", change)
}

// runPodBy starts a sandbox of a runtime handler's.
func runPodBy(t *testing.T, handler string, change func(*runtimeapi.PodSandboxConfig)) *pod {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "#", "-").Replace(t.Name()))
	if len(name) > 50 {
		name = name[:50]
	}
	p := &pod{t: t, handler: handler, config: sandboxConfig(t, name)}
	if change != nil {
		change(p.config)
	}
	p.file = writeMessage(t, p.config)
	p.id = crictlOut(t, "runp", "--runtime", handler, p.file)
	env.record(p.id)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
		defer cancel()
		if out, err := env.cli.Run(ctx, "rmp", "-f", p.id); err != nil && !strings.Contains(err.Error(), "not found") {
			t.Errorf("remove the pod: %v %s", err, out)
		}
	})
	return p
}

// writeMessage writes a CRI message as crictl reads it: in Go's own JSON.
func writeMessage(t *testing.T, m any) string {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "message.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// container is a container of a pod.
type container struct {
	pod    *pod
	id     string
	config *runtimeapi.ContainerConfig
}

// create makes a container of the pod, not started. change may be nil.
func (p *pod) create(cfg *runtimeapi.ContainerConfig, change func(*runtimeapi.ContainerConfig)) *container {
	p.t.Helper()
	if change != nil {
		change(cfg)
	}
	if p.handler == "wcow" {
		ensureWindowsImage(p.t, cfg.GetImage().GetImage())
	} else {
		ensureImage(p.t, cfg.GetImage().GetImage())
	}
	id := crictlOut(p.t, "create", p.id, writeMessage(p.t, cfg), p.file)
	env.record(id)
	return &container{pod: p, id: id, config: cfg}
}

// run creates and starts a busybox container that runs a shell script.
func (p *pod) run(name, script string, change func(*runtimeapi.ContainerConfig)) *container {
	p.t.Helper()
	c := p.create(shell(name, script), change)
	c.start()
	return c
}

func (c *container) start() {
	c.pod.t.Helper()
	crictlOut(c.pod.t, "start", c.id)
}

// exec runs a shell script in the container, which must succeed, and returns its stdout without the last line's end.
func (c *container) exec(script string) string {
	c.pod.t.Helper()
	resp := c.execSync(script)
	if resp.GetExitCode() != 0 {
		c.pod.t.Fatalf("%s: exit code %d: %s%s", script, resp.GetExitCode(), resp.GetStdout(), resp.GetStderr())
	}
	return strings.TrimRight(string(resp.GetStdout()), "\n")
}

// execSync runs a shell script in the container.
func (c *container) execSync(script string) *runtimeapi.ExecSyncResponse {
	c.pod.t.Helper()
	resp, err := env.client.Runtime.ExecSync(c.pod.t.Context(), &runtimeapi.ExecSyncRequest{
		ContainerId: c.id, Cmd: []string{"/bin/sh", "-c", script}, Timeout: int64(stepTimeout.Seconds()),
	})
	if err != nil {
		c.pod.t.Fatalf("%s: %v", script, err)
	}
	return resp
}

// logFile is where the runtime writes the container's log.
func (c *container) logFile() string {
	return filepath.Join(c.pod.config.GetLogDirectory(), c.config.GetLogPath())
}

// status asks for the container's status.
func (c *container) status() *runtimeapi.ContainerStatus {
	c.pod.t.Helper()
	resp, err := env.client.Runtime.ContainerStatus(c.pod.t.Context(), &runtimeapi.ContainerStatusRequest{ContainerId: c.id})
	if err != nil {
		c.pod.t.Fatalf("status of %s: %v", c.id, err)
	}
	return resp.GetStatus()
}

// wait waits until the container has ended.
func (c *container) wait() *runtimeapi.ContainerStatus {
	c.pod.t.Helper()
	var st *runtimeapi.ContainerStatus
	eventually(c.pod.t, "container has ended", func() bool {
		st = c.status()
		return st.GetState() == runtimeapi.ContainerState_CONTAINER_EXITED
	})
	return st
}

var pulled = map[string]bool{}

// ensureImage pulls an image once.
func ensureImage(t *testing.T, ref string) {
	t.Helper()
	if !pulled[ref] {
		crictlOut(t, "pull", ref)
		pulled[ref] = true
	}
}

// eventually waits until f says true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(stepTimeout)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s\ndaemon: %s", stepTimeout, what, env.daemon.LogTail(15))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// shell configures a busybox container that runs a script.
func shell(name, script string) *runtimeapi.ContainerConfig {
	return criclient.ContainerConfig(name, busybox, "/bin/sh", "-c", script)
}

// sandboxConfig is a pod's configuration with a log folder of its own.
func sandboxConfig(t *testing.T, name string) *runtimeapi.PodSandboxConfig {
	t.Helper()
	logs, err := os.MkdirTemp(env.root, "logs-")
	if err != nil {
		t.Fatal(err)
	}
	return criclient.PodConfig(name, logs)
}
