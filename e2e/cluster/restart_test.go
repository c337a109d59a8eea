package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

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
		p.unchanged(before)
	})
	t.Run("paddock", func(t *testing.T) {
		if err := shared.Daemon.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := shared.Daemon.Start(ctx); err != nil {
			t.Fatal(err)
		}
		p.unchanged(before)
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
	p.sh("c", "true")
	p.await("is as before", func(pod *corev1.Pod) bool {
		now, then := container(pod, "c"), container(before, "c")
		return now.Ready && now.ContainerID == then.ContainerID && now.RestartCount == 0 && pod.Status.PodIP == before.Status.PodIP
	})
}

// TestNodePressure: when kubelet finds too little space left for images, which
// Paddock tells, pods are evicted, and admitted again afterwards.
func TestNodePressure(t *testing.T) {
	p := apply(t, "pressed", `
containers: [{name: c, command: [sleep, "1000"]}]
tolerations: [{key: node.kubernetes.io/disk-pressure, operator: Exists}]
`)
	p.ready()
	restartKubelet(t, `evictionHard: {imagefs.available: "99.99%", nodefs.available: 100Mi}`)
	pod := p.phase(corev1.PodFailed)
	if pod.Status.Reason != "Evicted" || !strings.Contains(pod.Status.Message, "ephemeral-storage") {
		t.Errorf("%s: %s", pod.Status.Reason, pod.Status.Message)
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

// TestGracefulShutdown: when logind says that the machine is about to go down,
// kubelet ends the pods in order, within its grace period, and then lets it go.
func TestGracefulShutdown(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	login, err := startLogind(ctx, t.TempDir(), 30*time.Second)
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
  command: [sh, -c, "trap 'echo asked > /v/asked; exit 0' TERM; while :; do sleep 0.1; done"]
  volumeMounts: [{name: v, mountPath: /v}]
`)
	p.ready()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", login.addr)
	restartKubelet(t, lowEviction, "shutdownGracePeriod: 15s", "shutdownGracePeriodCriticalPods: 5s")
	if err := login.prepareForShutdown(true); err != nil {
		t.Fatal(err)
	}
	pod := p.await("was ended", func(pod *corev1.Pod) bool {
		return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
	})
	if !strings.Contains(pod.Status.Message, "node shutdown") {
		t.Errorf("%s: %s", pod.Status.Reason, pod.Status.Message)
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

// awaitWebhook waits until pods can be made again.
func awaitWebhook(t *testing.T) {
	t.Helper()
	kubectl(t, "-n", system, "rollout", "status", "deployment/paddock-webhook", "--timeout="+patience.String())
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
