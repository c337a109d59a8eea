package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// TestRestartsOfTheNode: pods go on running while kubelet or Paddock are gone, and
// afterwards are the same, with every line of their logs.
func TestRestartsOfTheNode(t *testing.T) {
	p := apply(t, "survivor", `
containers:
- name: c
  command: [sh, -c, "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"]
  readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 30}
`)
	before := p.ready()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	t.Run("kubelet", func(t *testing.T) {
		restartKubelet(t)
		(&testPod{t, p.name}).unchanged(before)
	})
	t.Run("paddock", func(t *testing.T) {
		if err := shared.Daemon.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := shared.Daemon.Start(ctx); err != nil {
			t.Fatal(err)
		}
		(&testPod{t, p.name}).unchanged(before)
	})
	lines := strings.Split(strings.TrimRight(p.logs(corev1.PodLogOptions{}), "\n"), "\n")
	for i, line := range lines {
		if line != strconv.Itoa(i) {
			t.Fatalf("line %d of the log is %q", i, line)
		}
	}
	apply(t, "newcomer", `containers: [{name: c, command: [sleep, "1000"]}]`).ready()
}

// unchanged wants the pod to be ready, with the container it had, which answers.
func (p *testPod) unchanged(before *corev1.Pod) {
	p.t.Helper()
	p.known()
	p.await("is as before", func(pod *corev1.Pod) bool {
		now, then := container(pod, "c"), container(before, "c")
		return now.Ready && now.ContainerID == then.ContainerID && now.RestartCount == 0 && pod.Status.PodIP == before.Status.PodIP
	})
}

// known waits until kubelet, started anew, knows the pod: it answers before it does.
func (p *testPod) known() {
	p.t.Helper()
	eventually(p.t, "kubelet knows "+p.name, func() error {
		_, errOut, code, err := p.tryExecute("c", "", "true")
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d: %s", code, errOut)
		}
		return err
	})
}

// TestNodePressure: when kubelet finds too little space left where Paddock says
// its images are, pods are evicted, and admitted again afterwards.
func TestNodePressure(t *testing.T) {
	const margin = 1 << 30
	p := apply(t, "pressed", `
containers: [{name: c, command: [sh, -c, "dd if=/dev/zero of=/mine bs=1M count=20; sleep 1000"]}]
tolerations: [{key: node.kubernetes.io/disk-pressure, operator: Exists}]
`)
	p.ready()
	threshold := availableForImages(t) - margin
	restartKubelet(t, fmt.Sprintf(`evictionHard: {imagefs.available: "%d", nodefs.available: 100Mi}`, threshold))
	p.known() // else it would be refused as a new pod, not evicted
	big, err := os.Create(filepath.Join(shared.opts.Root, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	defer os.Remove(big.Name())
	pod := p.await("is evicted", func(pod *corev1.Pod) bool {
		fill(t, big, threshold-margin)
		return pod.Status.Phase == corev1.PodFailed
	})
	if pod.Status.Reason != "Evicted" || !strings.Contains(pod.Status.Message, "low on resource: ephemeral-storage") {
		t.Errorf("%s: %s", pod.Status.Reason, pod.Status.Message)
	}
	if err := errors.Join(big.Truncate(0), os.Remove(big.Name())); err != nil {
		t.Fatal(err)
	}
	restartKubelet(t)
	awaitWebhook(t) // it may have been evicted, too
	after := apply(t, "after-the-pressure", `containers: [{name: c, command: [sleep, "1000"]}]`)
	eventually(t, "pods are admitted again", func() error {
		if pod := after.get(); pod.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("%s\n%s", statusOf(pod), after.events())
		}
		return nil
	})
}

// fill makes a file so large that no more than so many bytes are free, whatever
// others that use the disk write and remove.
func fill(t *testing.T, f *os.File, free int64) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if more := int64(fs.Bavail)*fs.Bsize - free; more > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, st.Size(), more); err != nil {
			t.Fatalf("fill the disk: %v", err)
		}
	}
}

// availableForImages is what kubelet finds free in the file system of the images.
func availableForImages(t *testing.T) int64 {
	t.Helper()
	text, err := askKubelet(t, "stats/summary")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Node struct {
			Runtime struct {
				ImageFs struct{ AvailableBytes int64 }
			}
		}
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s.Node.Runtime.ImageFs.AvailableBytes
}

// TestGracefulShutdown: when logind says that the machine is about to go down,
// kubelet ends the pods in order, within its grace period, and then lets it go.
func TestGracefulShutdown(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	login, err := startLogind(ctx, t.TempDir(), 90*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := login.stop(); err != nil {
			t.Error(err)
		}
	}()
	host := t.TempDir()
	p := apply(t, "shut-down", `
terminationGracePeriodSeconds: 60
volumes: [{name: v, hostPath: {path: `+host+`}}]
containers:
- name: c
  # Of a pod that ends without an error kubelet does not tell why it was ended.
  command: [sh, -c, "trap 'echo asked > /v/asked; exit 3' TERM; while :; do sleep 0.1; done"]
  volumeMounts: [{name: v, mountPath: /v}]
`)
	p.ready()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", login.addr)
	restartKubelet(t, lowEviction, "shutdownGracePeriod: 90s", "shutdownGracePeriodCriticalPods: 10s")
	p.known() // else it would be refused as a new pod, not ended
	if err := login.prepareForShutdown(true); err != nil {
		t.Fatal(err)
	}
	pod := p.phase(corev1.PodFailed)
	end := container(pod, "c").State.Terminated
	if !strings.Contains(pod.Status.Message, "node shutdown") || end == nil || end.ExitCode != 3 {
		t.Errorf("%s: %s, %+v", pod.Status.Reason, pod.Status.Message, end)
	}
	if got := readFile(t, host+"/asked"); got != "asked\n" {
		t.Errorf("SIGTERM: %q", got)
	}
	if err := login.released(ctx); err != nil {
		t.Error(err)
	}
	if err := login.prepareForShutdown(false); err != nil {
		t.Error(err)
	}
	restartKubelet(t)
	awaitWebhook(t)
}

// restartKubelet starts kubelet anew, with lines of configuration as StartKubelet has them.
func restartKubelet(t *testing.T, extra ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := shared.StopKubelet(); err != nil {
		t.Fatal(err)
	}
	if err := shared.StartKubelet(ctx, extra...); err != nil {
		t.Fatal(err)
	}
}
