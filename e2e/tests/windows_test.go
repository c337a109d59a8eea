package tests

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

var pulledForWindows = map[string]bool{}

// ensureWindowsImage pulls an image for Windows pods once.
func ensureWindowsImage(t *testing.T, ref string) {
	t.Helper()
	if pulledForWindows[ref] {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	_, err := env.client.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: ref, RuntimeHandler: "wcow"}})
	if err != nil {
		t.Fatalf("pull %s for Windows: %v", ref, err)
	}
	pulledForWindows[ref] = true
}

// windowsContainer is a container's configuration as a Windows pod has it.
func windowsContainer(name, image string, command ...string) *runtimeapi.ContainerConfig {
	cfg := criclient.ContainerConfig(name, image, command...)
	cfg.Linux, cfg.Windows = nil, &runtimeapi.WindowsContainerConfig{}
	return cfg
}

// execWindows runs a command in a Windows container.
func (c *container) execWindows(cmd ...string) *runtimeapi.ExecSyncResponse {
	c.pod.t.Helper()
	start := time.Now()
	resp, err := env.client.Runtime.ExecSync(c.pod.t.Context(), &runtimeapi.ExecSyncRequest{
		ContainerId: c.id, Cmd: cmd, Timeout: int64(stepTimeout.Seconds()),
	})
	if err != nil {
		c.pod.t.Fatalf("%v: %v", cmd, err)
	}
	c.pod.t.Logf("%v took %v: %d %q %q", cmd, time.Since(start), resp.ExitCode, resp.Stdout, resp.Stderr)
	return resp
}

func TestWindowsSmoke(t *testing.T) {
	start := time.Now()
	p := runPodBy(t, "wcow", nil)
	t.Log("sandbox", time.Since(start))
	start = time.Now()
	c := p.create(windowsContainer("main", winprobe), nil)
	t.Log("created", time.Since(start))
	start = time.Now()
	c.start()
	t.Log("started", time.Since(start))
	c.waitForLog("serving")
	t.Log("serving", time.Since(start))
	v4, _ := p.addresses()
	t.Log(get(t, "http://"+v4+":8080/report"))
	c.execWindows("winprobe", "report", "a b", `q"x`)
	c.execWindows("cmd", "/c", "echo hello & ver & dir /b & exit 3")
	c.execWindows("cmd", "/c", "whoami & hostname & echo %PATH% & dir C:\\")
	c.execWindows("winprobe", "exit", "0xC0000005")
	for _, n := range []string{p.config.Hostname, "localhost"} {
		t.Log(get(t, "http://"+v4+":8080/lookup?name="+n))
	}
	start = time.Now()
	crictlOut(t, "stop", "--timeout", "20", c.id)
	t.Log("stop", time.Since(start))
	st := c.status()
	t.Log(st.State, st.ExitCode, st.Reason)
	if !strings.Contains(c.log(), "stopping on terminated") {
		t.Error(c.log())
	}
}

// log is the container's log as it is.
func (c *container) log() string {
	c.pod.t.Helper()
	b, err := os.ReadFile(c.logFile())
	if err != nil {
		c.pod.t.Fatal(err)
	}
	return string(b)
}
