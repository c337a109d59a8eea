// Package pod runs pods and containers on a runtime as kubelet does, for suites
// that use what is in them.
package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// Container says what to run.
type Container struct {
	Image   string
	Command []string
	Env     map[string]string
	User    int64
	// Mounts are folders of the host, by where the container sees them.
	Mounts map[string]string
	// Devices are block devices of the host, by where the container sees them.
	Devices map[string]string
	// Memory is its limit, in MiB.
	Memory     int64
	Privileged bool
}

// Pod is a running sandbox.
type Pod struct {
	// IP is its address.
	IP string

	client *criclient.Client
	id     string
	config *runtimeapi.PodSandboxConfig
}

// Run starts a sandbox whose containers log to a folder.
func Run(ctx context.Context, client *criclient.Client, name, logs string) (*Pod, error) {
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	p := &Pod{client: client, config: criclient.PodConfig(name, logs)}
	p.config.Linux.SecurityContext.Privileged = true // containers may be
	resp, err := client.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: p.config, RuntimeHandler: "lcow"})
	if err != nil {
		return nil, fmt.Errorf("run pod %s: %w", name, err)
	}
	p.id = resp.GetPodSandboxId()
	st, err := client.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.id})
	if err != nil {
		return nil, errors.Join(err, client.RemovePod(ctx, p.id))
	}
	p.IP = st.GetStatus().GetNetwork().GetIp()
	return p, nil
}

// Start runs a container.
func (p *Pod) Start(ctx context.Context, name string, c Container) (*Running, error) {
	if _, err := p.client.Pull(ctx, c.Image); err != nil {
		return nil, err
	}
	cfg := criclient.ContainerConfig(name, c.Image, c.Command...)
	for inside, host := range c.Mounts {
		cfg.Mounts = append(cfg.Mounts, &runtimeapi.Mount{HostPath: host, ContainerPath: inside})
	}
	for inside, host := range c.Devices {
		cfg.Devices = append(cfg.Devices, &runtimeapi.Device{HostPath: host, ContainerPath: inside, Permissions: "mrw"})
	}
	cfg.Linux.SecurityContext.RunAsUser = &runtimeapi.Int64Value{Value: c.User}
	cfg.Linux.SecurityContext.RunAsGroup = &runtimeapi.Int64Value{Value: c.User}
	cfg.Linux.SecurityContext.Privileged = c.Privileged
	cfg.Linux.Resources.MemoryLimitInBytes = c.Memory << 20
	for k, v := range c.Env {
		cfg.Envs = append(cfg.Envs, &runtimeapi.KeyValue{Key: k, Value: v})
	}
	resp, err := p.client.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: p.id, Config: cfg, SandboxConfig: p.config})
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", name, err)
	}
	r := &Running{pod: p, id: resp.GetContainerId(), log: filepath.Join(p.config.GetLogDirectory(), cfg.GetLogPath())}
	if _, err := p.client.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: r.id}); err != nil {
		return nil, fmt.Errorf("start container %s: %w", name, err)
	}
	return r, nil
}

// ID is the sandbox's.
func (p *Pod) ID() string { return p.id }

// Kill ends the pod's VM, as a power cut would.
func (p *Pod) Kill() error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, file := range files {
		cmdline, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(cmdline), "guest="+p.id[:32]) { // as QEMU's command line has it
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}
	return fmt.Errorf("no QEMU process serves sandbox %s", p.id)
}

// Remove ends the pod.
func (p *Pod) Remove(ctx context.Context) error { return p.client.RemovePod(ctx, p.id) }

// Running is a container of a pod.
type Running struct {
	pod     *Pod
	id, log string
}

// IP is the pod's address.
func (r *Running) IP() string { return r.pod.IP }

// Exec runs a command in the container and returns its standard output.
func (r *Running) Exec(ctx context.Context, command ...string) (string, error) {
	resp, err := r.pod.client.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: r.id, Cmd: command, Timeout: 900})
	if err != nil {
		return "", fmt.Errorf("exec %s: %w", command[0], err)
	}
	if code := resp.GetExitCode(); code != 0 {
		return "", fmt.Errorf("exec %v: exit code %d: %s%s", command, code, resp.GetStdout(), resp.GetStderr())
	}
	return string(resp.GetStdout()), nil
}

// Stop ends the container as kubelet does, and returns its exit code.
func (r *Running) Stop(ctx context.Context) (int32, error) {
	if _, err := r.pod.client.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: r.id, Timeout: 60}); err != nil {
		return 0, err
	}
	st, err := r.pod.client.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: r.id})
	return st.GetStatus().GetExitCode(), err
}

// Wait waits until the container has ended by itself, and returns its exit code.
func (r *Running) Wait(ctx context.Context) (code int32, err error) {
	for {
		st, err := r.pod.client.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: r.id})
		if err != nil {
			return 0, err
		}
		if s := st.GetStatus(); s.GetState() == runtimeapi.ContainerState_CONTAINER_EXITED {
			return s.GetExitCode(), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Ended is an error if the container does not run.
func (r *Running) Ended(ctx context.Context) error {
	st, err := r.pod.client.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: r.id})
	if err != nil {
		return err
	}
	if s := st.GetStatus(); s.GetState() == runtimeapi.ContainerState_CONTAINER_EXITED {
		return fmt.Errorf("the container has ended: exit code %d, %s", s.GetExitCode(), s.GetReason())
	}
	return nil
}

// Until calls f until it succeeds, or the container has ended.
func (r *Running) Until(ctx context.Context, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ended := r.Ended(ctx); ended != nil {
			return errors.Join(ended, err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Logged says whether the container has printed a text.
func (r *Running) Logged(text string) bool {
	b, err := os.ReadFile(r.log)
	return err == nil && strings.Contains(string(b), text)
}

// LogTail are the last lines that the container printed.
func (r *Running) LogTail(lines int) string {
	b, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Numbers are those that the container has printed after a word.
func (r *Running) Numbers(word string) (map[int]bool, error) {
	b, err := os.ReadFile(r.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := map[int]bool{}
	for line := range strings.Lines(string(b)) {
		_, text, ok := strings.Cut(line, " F "+word) // of a log line in CRI's format
		if !ok || !strings.HasSuffix(text, "\n") {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.log, err)
		}
		all[n] = true
	}
	return all, nil
}
