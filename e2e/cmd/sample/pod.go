package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// samplePod is what was started.
type samplePod struct {
	sandbox, container string
	ip                 string
}

// runPod pulls the image and starts the pod, as kubelet would.
func (e *environment) runPod(ctx context.Context) (p samplePod, err error) {
	logs := filepath.Join(rootDir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return p, err
	}
	if err := e.timer.step("PullImage", func() error {
		_, err := e.client.Pull(ctx, sampleImage)
		return err
	}); err != nil {
		return p, err
	}
	pod := criclient.PodConfig("sample", logs)
	container := criclient.ContainerConfig("web", sampleImage)
	if err := e.timer.step("RunPodSandbox", func() error {
		resp, err := e.client.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: pod, RuntimeHandler: "lcow"})
		p.sandbox = resp.GetPodSandboxId()
		return err
	}); err != nil {
		return p, err
	}
	e.ids = append(e.ids, p.sandbox)
	if err := e.timer.step("CreateContainer", func() error {
		resp, err := e.client.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
			PodSandboxId: p.sandbox, Config: container, SandboxConfig: pod,
		})
		p.container = resp.GetContainerId()
		return err
	}); err != nil {
		return p, err
	}
	e.ids = append(e.ids, p.container)
	if err := e.timer.step("StartContainer", func() error {
		_, err := e.client.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: p.container})
		return err
	}); err != nil {
		return p, err
	}
	st, err := e.client.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.sandbox})
	p.ip = st.GetStatus().GetNetwork().GetIp()
	return p, err
}

// tell prints what the pod is, asked of the pod itself, and how to go on.
func (e *environment) tell(ctx context.Context, p samplePod) error {
	var answer, podKernel string
	var err error
	if err := e.timer.step("first answer over the network", func() error {
		answer, err = get(ctx, "http://"+net.JoinHostPort(p.ip, "8080"))
		return err
	}); err != nil {
		return err
	}
	if err := e.timer.step("ExecSync uname", func() error {
		resp, err := e.client.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{
			ContainerId: p.container, Cmd: []string{"/bin/uname", "-r"}, Timeout: 30,
		})
		podKernel = strings.TrimSpace(string(resp.GetStdout()))
		return err
	}); err != nil {
		return err
	}
	hostKernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	fmt.Printf("\nThe host's kernel  %s\n", strings.TrimSpace(string(hostKernel)))
	fmt.Printf("The pod's kernel   %s\n", podKernel)
	fmt.Printf("The pod's address  %s, which answers: %s\n", p.ip, answer)
	e.timer.print("Time per step", os.Stdout)
	if err := e.printTimeline(ctx, p.sandbox); err != nil {
		return err
	}
	r := e.crictl + " -r unix://" + socket
	fmt.Printf(`
Talk to it:
  %[1]s pods
  %[1]s logs %[2]s
  %[1]s exec -it %[2]s /bin/sh
  build/paddock pods
  curl http://%[3]s:8080/
`, r, p.container[:12], p.ip)
	return nil
}

// printTimeline prints the daemon's own account of RunPodSandbox.
func (e *environment) printTimeline(ctx context.Context, sandbox string) error {
	resp, err := e.client.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: sandbox, Verbose: true})
	if err != nil {
		return err
	}
	var told []struct{ Name, Duration string }
	if err := json.Unmarshal([]byte(resp.GetInfo()["timeline"]), &told); err != nil {
		return fmt.Errorf("timeline of the pod: %w", err)
	}
	var t timer
	for _, s := range told {
		if d, err := time.ParseDuration(s.Duration); err == nil {
			t.add(s.Name, d)
		}
	}
	t.print("Within RunPodSandbox (some run side by side)", os.Stdout)
	return nil
}

// get reads a URL, waiting for its server to listen.
func get(ctx context.Context, url string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second}
	for {
		body, err := getOnce(ctx, client, url)
		if err == nil {
			return strings.TrimSpace(body), nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func getOnce(ctx context.Context, client http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return string(b), err
}
