package cluster

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const webDeployment = `
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      dnsPolicy: Default
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: ` + web + `
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1, timeoutSeconds: 30}
`

// testDeploymentAndService: replicas of a Deployment answer at their Service's
// address, to pods and to the node, at the node's port too; an update replaces them all.
func testDeploymentAndService(t *testing.T) {
	deployment := decode[appsv1.Deployment](t, webDeployment)
	deployments := shared.Client.AppsV1().Deployments(namespace)
	if _, err := deployments.Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service, err := shared.Client.CoreV1().Services(namespace).Create(t.Context(), decode[corev1.Service](t, `
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	client := apply(t, "web-client", `containers: [{name: c, command: [sleep, "1000"]}]`)
	client.ready()
	kubectl(t, "rollout", "status", "deployment/web", "--timeout="+patience.String())
	first := replicas(t)
	if len(first) != 2 {
		t.Fatalf("replicas %v, want 2", first)
	}
	fromPod := func() (string, error) {
		out, errOut, code := client.execute("c", "", "timeout", "20", "wget", "-q", "-O", "-", "http://"+service.Spec.ClusterIP)
		if code != 0 {
			return "", errors.New(errOut)
		}
		return out, nil
	}
	hearsAll(t, "a pod, at the Service's address", first, fromPod)
	hearsAll(t, "the node, at the Service's address", first, getter("http://"+service.Spec.ClusterIP))
	hearsAll(t, "the node, at its port", first, getter(fmt.Sprintf("http://%s:%d", NodeIP, service.Spec.Ports[0].NodePort)))

	kubectl(t, "set", "env", "deployment/web", "VERSION=2")
	kubectl(t, "rollout", "status", "deployment/web", "--timeout="+patience.String())
	eventually(t, "only new replicas", func() error {
		second := replicas(t)
		for name := range second {
			if first[name] {
				return fmt.Errorf("%s is one of the old ones", name)
			}
		}
		if len(second) != 2 {
			return fmt.Errorf("replicas %v", second)
		}
		return nil
	})
	hearsAll(t, "a pod, after the update", replicas(t), fromPod)
	if err := deployments.Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// replicas are the names of the Deployment's pods that are not on their way out.
func replicas(t *testing.T) map[string]bool {
	t.Helper()
	pods, err := shared.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			names[p.Name] = true
		}
	}
	return names
}

// hearsAll asks until every server has answered.
func hearsAll(t *testing.T, who string, servers map[string]bool, ask func() (string, error)) {
	t.Helper()
	heard := map[string]bool{}
	eventually(t, who+" hears every replica", func() error {
		answer, err := ask()
		if err != nil {
			return err
		}
		for name := range servers {
			if strings.Contains(answer, "hello from "+name+" ") {
				heard[name] = true
			}
		}
		if len(heard) < len(servers) {
			return fmt.Errorf("heard %v of %v", heard, servers)
		}
		return nil
	})
}

// getter fetches a URL, each time over a new connection.
func getter(url string) func() (string, error) {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func() (string, error) {
		resp, err := client.Get(url)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
}

// testInitAndSidecarContainers: init containers run in their order, a sidecar
// runs from its place in it, and ends when the pod's work is done.
func testInitAndSidecarContainers(t *testing.T) {
	p := apply(t, "init", `
restartPolicy: Never
volumes: [{name: v, emptyDir: {}}]
initContainers:
- {name: first, command: [sh, -c, "echo first >> /v/order"], volumeMounts: [{name: v, mountPath: /v}]}
- name: sidecar
  restartPolicy: Always
  command: [sh, -c, "echo sidecar >> /v/order; trap 'echo asked to end; exit 0' TERM; touch /tmp/up; while :; do sleep 0.2; done"]
  startupProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 1, timeoutSeconds: 30, failureThreshold: 60}
  volumeMounts: [{name: v, mountPath: /v}]
- {name: second, command: [sh, -c, "echo second >> /v/order"], volumeMounts: [{name: v, mountPath: /v}]}
containers:
- {name: main, command: [sh, -c, "echo main >> /v/order; cat /v/order"], volumeMounts: [{name: v, mountPath: /v}]}
terminationGracePeriodSeconds: 120
`)
	pod := p.phase(corev1.PodSucceeded)
	if got, want := p.logs(corev1.PodLogOptions{Container: "main"}), "first\nsidecar\nsecond\nmain\n"; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	if end := container(pod, "sidecar").State.Terminated; end == nil || end.ExitCode != 0 {
		t.Errorf("the sidecar: %+v, want it ended by SIGTERM with code 0", container(pod, "sidecar").State)
	}
	if got := p.logs(corev1.PodLogOptions{Container: "sidecar"}); got != "asked to end\n" {
		t.Errorf("the sidecar printed %q", got)
	}
}

// testRestarts: containers that end are started again, or not, as the pod says,
// and how they ended is told.
func testRestarts(t *testing.T) {
	always := apply(t, "crash-loop", `
containers:
- name: c
  command: [sh, -c, "echo told > /dev/termination-log; echo run; exit 3"]
`)
	failing := apply(t, "on-failure", `
restartPolicy: OnFailure
volumes: [{name: v, emptyDir: {}}]
containers:
- {name: c, command: [sh, -c, "test -e /v/ran && exit 0; touch /v/ran; exit 1"], volumeMounts: [{name: v, mountPath: /v}]}
`)
	never := apply(t, "never", `
restartPolicy: Never
containers: [{name: c, command: [sh, -c, "echo last words; exit 7"], terminationMessagePolicy: FallbackToLogsOnError}]
`)
	hungry := apply(t, "hungry", `
restartPolicy: Never
containers:
- {name: fed, command: [sleep, "1000"]}
- name: hungry
  command: [sh, -c, "x=0123456789abcdef; while :; do x=$x$x; done"]
  resources: {limits: {memory: 32Mi}}
`)
	pod := never.phase(corev1.PodFailed)
	if end := container(pod, "c").State.Terminated; end == nil || end.ExitCode != 7 || end.Reason != "Error" || end.Message != "last words\n" {
		t.Errorf("never restarted: %+v", end)
	}
	pod = failing.phase(corev1.PodSucceeded)
	if c := container(pod, "c"); c.RestartCount != 1 {
		t.Errorf("restarted on failure %d times, want once", c.RestartCount)
	}
	pod = hungry.await("was killed for its memory", func(pod *corev1.Pod) bool {
		return container(pod, "hungry").State.Terminated != nil
	})
	if end := container(pod, "hungry").State.Terminated; end.Reason != "OOMKilled" || end.ExitCode != 137 {
		t.Errorf("the hungry container: %+v, want OOMKilled with code 137", end)
	}
	if container(pod, "fed").State.Running == nil {
		t.Error("the other container has ended, too")
	}
	pod = always.await("was restarted twice", func(pod *corev1.Pod) bool { return container(pod, "c").RestartCount >= 2 })
	if last := container(pod, "c").LastTerminationState.Terminated; last == nil || last.ExitCode != 3 || last.Message != "told\n" {
		t.Errorf("how it ended before: %+v", last)
	}
	// Kubelet may remove the one before while it is asked for it: the container goes on restarting.
	always.logged(corev1.PodLogOptions{Previous: true}, func(log string) bool { return log == "run\n" })
}
