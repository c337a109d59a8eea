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
	"text/tabwriter"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// kind is one of the kinds of pods.
type kind struct {
	name, handler string
	// os is a command that tells the container's operating system; shell is one to talk to.
	os    []string
	shell string
}

var kinds = []kind{
	{"Linux", "lcow", []string{"/bin/uname", "-sr"}, "/bin/sh"},
	{"Windows", "wcow", []string{"cmd", "/c", "ver"}, "cmd"},
}

// samplePod is what was started.
type samplePod struct {
	kind               kind
	sandbox, container string
	ip                 string
}

// runPod pulls the image for a kind of pod and starts one, as kubelet would.
func (e *environment) runPod(ctx context.Context, k kind) (p samplePod, err error) {
	p.kind = k
	name := strings.ToLower(k.name)
	logs := filepath.Join(rootDir, "logs", name)
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return p, err
	}
	step := func(what string, f func() error) error { return e.timer.step(k.name+": "+what, f) }
	image := &runtimeapi.ImageSpec{Image: sampleImage, RuntimeHandler: k.handler}
	if err := step("PullImage", func() error {
		_, err := e.client.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: image})
		return err
	}); err != nil {
		return p, err
	}
	pod := criclient.PodConfig("sample-"+name, logs)
	container := criclient.ContainerConfig("web", sampleImage)
	if err := step("RunPodSandbox", func() error {
		resp, err := e.client.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: pod, RuntimeHandler: k.handler})
		p.sandbox = resp.GetPodSandboxId()
		return err
	}); err != nil {
		return p, err
	}
	e.ids = append(e.ids, p.sandbox)
	if err := step("CreateContainer", func() error {
		resp, err := e.client.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
			PodSandboxId: p.sandbox, Config: container, SandboxConfig: pod,
		})
		p.container = resp.GetContainerId()
		return err
	}); err != nil {
		return p, err
	}
	e.ids = append(e.ids, p.container)
	if err := step("StartContainer", func() error {
		_, err := e.client.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: p.container})
		return err
	}); err != nil {
		return p, err
	}
	st, err := e.client.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.sandbox})
	p.ip = st.GetStatus().GetNetwork().GetIp()
	return p, err
}

// tell prints what the pods are, asked of the pods themselves, and how to go on.
func (e *environment) tell(ctx context.Context, pods []samplePod) error {
	hostKernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	lines := []string{"The host\tkernel " + strings.TrimSpace(string(hostKernel))}
	for _, p := range pods {
		about, err := e.describe(ctx, p)
		if err != nil {
			return err
		}
		lines = append(lines, about...)
	}
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	w.Flush()
	e.timer.print("Time per step", os.Stdout)
	for _, p := range pods {
		if err := e.printTimeline(ctx, p); err != nil {
			return err
		}
	}
	fmt.Println("\nTalk to them:")
	r := e.crictl + " -r unix://" + socket
	fmt.Printf("  %s pods\n  build/paddock pods\n", r)
	for _, p := range pods {
		fmt.Printf("  %[1]s logs %[2]s\n  %[1]s exec -it %[2]s %[3]s\n  curl http://%[4]s:8080/\n", r, p.container[:12], p.kind.shell, p.ip)
	}
	return nil
}

// describe asks a pod what it is.
func (e *environment) describe(ctx context.Context, p samplePod) ([]string, error) {
	var answer, system string
	if err := e.timer.step(p.kind.name+": first answer over the network", func() (err error) {
		answer, err = get(ctx, "http://"+net.JoinHostPort(p.ip, "8080"))
		return err
	}); err != nil {
		return nil, err
	}
	if err := e.timer.step(p.kind.name+": ExecSync "+p.kind.os[0], func() error {
		resp, err := e.client.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: p.container, Cmd: p.kind.os, Timeout: 60})
		system = strings.TrimSpace(string(resp.GetStdout()))
		return err
	}); err != nil {
		return nil, err
	}
	kernel, err := e.info(ctx, p, "kernel")
	if err != nil {
		return nil, err
	}
	pod := "The " + p.kind.name + " pod\t"
	return []string{
		pod + "kernel " + strings.Trim(kernel, `"`),
		pod + "operating system, as its programs see it: " + system,
		pod + "address " + p.ip + ", which answers: " + answer,
	}, nil
}

// info is a value of a pod's verbose status, in JSON.
func (e *environment) info(ctx context.Context, p samplePod, name string) (string, error) {
	resp, err := e.client.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.sandbox, Verbose: true})
	return resp.GetInfo()[name], err
}

// printTimeline prints the daemon's own account of RunPodSandbox.
func (e *environment) printTimeline(ctx context.Context, p samplePod) error {
	timeline, err := e.info(ctx, p, "timeline")
	if err != nil {
		return err
	}
	var told []struct{ Name, Duration string }
	if err := json.Unmarshal([]byte(timeline), &told); err != nil {
		return fmt.Errorf("timeline of the pod: %w", err)
	}
	var t timer
	for _, s := range told {
		if d, err := time.ParseDuration(s.Duration); err == nil {
			t.add(s.Name, d)
		}
	}
	t.print("Within RunPodSandbox of the "+p.kind.name+" pod (some run side by side)", os.Stdout)
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
