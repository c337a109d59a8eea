package volumes

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

// container says what a server runs in.
type container struct {
	image   image
	command []string
	env     map[string]string
	user    int64
	data    string // where the folder of the host is mounted
	memory  int64  // MiB
}

// pod is a running sandbox.
type pod struct {
	client *criclient.Client
	id, ip string
	config *runtimeapi.PodSandboxConfig
}

func runPod(ctx context.Context, client *criclient.Client, name, logs string) (*pod, error) {
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	p := &pod{client: client, config: criclient.PodConfig(name, logs)}
	resp, err := client.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: p.config, RuntimeHandler: "lcow"})
	if err != nil {
		return nil, fmt.Errorf("run pod %s: %w", name, err)
	}
	p.id = resp.GetPodSandboxId()
	st, err := client.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.id})
	if err != nil {
		return nil, errors.Join(err, client.RemovePod(ctx, p.id))
	}
	p.ip = st.GetStatus().GetNetwork().GetIp()
	return p, nil
}

// start runs a container with its data in dir, a folder of the host's.
func (p *pod) start(ctx context.Context, name, dir string, c container) (*running, error) {
	if _, err := p.client.Pull(ctx, c.image.ref()); err != nil {
		return nil, err
	}
	cfg := criclient.ContainerConfig(name, c.image.ref(), c.command...)
	cfg.Mounts = []*runtimeapi.Mount{{HostPath: dir, ContainerPath: c.data}}
	cfg.Linux.SecurityContext.RunAsUser = &runtimeapi.Int64Value{Value: c.user}
	cfg.Linux.SecurityContext.RunAsGroup = &runtimeapi.Int64Value{Value: c.user}
	cfg.Linux.Resources.MemoryLimitInBytes = c.memory << 20
	for k, v := range c.env {
		cfg.Envs = append(cfg.Envs, &runtimeapi.KeyValue{Key: k, Value: v})
	}
	resp, err := p.client.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: p.id, Config: cfg, SandboxConfig: p.config})
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", name, err)
	}
	r := &running{pod: p, id: resp.GetContainerId(), dir: dir, log: filepath.Join(p.config.GetLogDirectory(), cfg.GetLogPath())}
	if _, err := p.client.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: r.id}); err != nil {
		return nil, fmt.Errorf("start container %s: %w", name, err)
	}
	return r, nil
}

// kill ends the pod's VM, as a power cut would.
func (p *pod) kill() error {
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

// remove ends the pod; its data stay.
func (p *pod) remove(ctx context.Context) error { return p.client.RemovePod(ctx, p.id) }

// running is a container of a pod.
type running struct {
	pod *pod
	id  string
	dir string // its data, on the host
	log string
}

// exec runs a command in the container and returns its standard output.
func (r *running) exec(ctx context.Context, command ...string) (string, error) {
	resp, err := r.pod.client.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: r.id, Cmd: command, Timeout: 300})
	if err != nil {
		return "", fmt.Errorf("exec %s: %w", command[0], err)
	}
	if code := resp.GetExitCode(); code != 0 {
		return "", fmt.Errorf("exec %v: exit code %d: %s%s", command, code, resp.GetStdout(), resp.GetStderr())
	}
	return string(resp.GetStdout()), nil
}

// stop ends the container as kubelet does, and returns its exit code.
func (r *running) stop(ctx context.Context) (int32, error) {
	if _, err := r.pod.client.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: r.id, Timeout: 60}); err != nil {
		return 0, err
	}
	st, err := r.pod.client.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: r.id})
	return st.GetStatus().GetExitCode(), err
}

// wait waits until the container has ended by itself, and returns its exit code.
func (r *running) wait(ctx context.Context) (code int32, err error) {
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

// ended is an error if the container does not run.
func (r *running) ended(ctx context.Context) error {
	st, err := r.pod.client.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: r.id})
	if err != nil {
		return err
	}
	if s := st.GetStatus(); s.GetState() == runtimeapi.ContainerState_CONTAINER_EXITED {
		return fmt.Errorf("the container has ended: exit code %d, %s", s.GetExitCode(), s.GetReason())
	}
	return nil
}

// until calls f until it succeeds, or the container has ended.
func (r *running) until(ctx context.Context, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ended := r.ended(ctx); ended != nil {
			return errors.Join(ended, err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// logged says whether the container has printed a text.
func (r *running) logged(text string) bool {
	b, err := os.ReadFile(r.log)
	return err == nil && strings.Contains(string(b), text)
}

// logTail are the last lines that the container printed.
func (r *running) logTail(lines int) string {
	b, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
