package cluster

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testBothSystems: a Deployment of Linux pods and one of Windows pods, of one
// image reference, on one node, each reached by the other at its Service.
func testBothSystems(t *testing.T) {
	needsWindows(t)
	services := map[string]string{}
	for _, class := range []string{"lcow", "wcow"} {
		name := "both-" + class
		deployment := decode[appsv1.Deployment](t, fmt.Sprintf(`
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      runtimeClassName: %[2]s
      dnsPolicy: Default
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: %[3]s/both:1, readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1, timeoutSeconds: 30}}]
`, name, class, ImageHost))
		if _, err := shared.Client.AppsV1().Deployments(namespace).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		service := decode[corev1.Service](t, fmt.Sprintf(`{metadata: {name: %[1]s}, spec: {selector: {app: %[1]s}, ports: [{port: 80, targetPort: 8080}]}}`, name))
		made, err := shared.Client.CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		services[class] = "http://" + made.Spec.ClusterIP
	}
	for _, class := range []string{"lcow", "wcow"} {
		kubectl(t, "rollout", "status", "deployment/both-"+class, "--timeout="+patience.String())
	}
	linux, windows := onlyPod(t, "both-lcow"), onlyPod(t, "both-wcow")
	for asker, path := range map[*testPod]string{linux: "/program", windows: `C:\App\program.exe`} {
		for class, url := range services {
			eventually(t, asker.name+" reaches "+class, func() error {
				out, errOut, code := asker.execute("web", "", path, "-get", url)
				if code != 0 || !strings.HasPrefix(out, "hello from both-"+class) {
					return errors.New(out + errOut)
				}
				return nil
			})
		}
	}
	if got, _, _ := windows.execute("web", "", "cmd.exe", "/c", "ver"); !strings.Contains(got, "Microsoft Windows") {
		t.Errorf("the Windows pod's system: %q", got)
	}
	if got := linux.sh("web", "uname -s"); got != "Linux" {
		t.Errorf("the Linux pod's system: %q", got)
	}
	for _, class := range []string{"lcow", "wcow"} {
		if err := shared.Client.AppsV1().Deployments(namespace).Delete(t.Context(), "both-"+class, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
}

func needsWindows(t *testing.T) {
	t.Helper()
	handlers, err := shared.Handlers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(handlers, "wcow") {
		t.Fatalf("this build has no Windows pods: the daemon's handlers are %q; `make guest` builds the disk they need", handlers)
	}
}

// testWindowsPod: what kubelet gives a pod and asks of it holds for a Windows one:
// overhead, volumes at Windows' paths, token, variables, probes, hooks, exec, log,
// forwarded port, and a stop that its program hears of.
func testWindowsPod(t *testing.T) {
	needsWindows(t)
	host := t.TempDir()
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "windows-settings"}, Data: map[string]string{"Colour.txt": "red"}}
	if _, err := shared.Client.CoreV1().ConfigMaps(namespace).Create(t.Context(), settings, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p := apply(t, "windows-pod", `
runtimeClassName: wcow
terminationGracePeriodSeconds: 60
volumes:
- {name: settings, configMap: {name: windows-settings}}
- {name: host, hostPath: {path: `+host+`}}
- {name: scratch, emptyDir: {}}
containers:
- name: web
  image: `+winprobe+`
  resources: {limits: {cpu: "1", memory: 512Mi}, requests: {cpu: 100m}}
  env:
  - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
  - {name: COLOUR, valueFrom: {configMapKeyRef: {name: windows-settings, key: Colour.txt}}}
  volumeMounts:
  - {name: settings, mountPath: 'C:\settings'}
  - {name: settings, mountPath: 'c:\One\colour.txt', subPath: Colour.txt}
  - {name: host, mountPath: 'C:\host'}
  - {name: scratch, mountPath: '\scratch'}
  startupProbe: {exec: {command: [cmd, /c, exit 0]}, periodSeconds: 1, timeoutSeconds: 60, failureThreshold: 60}
  readinessProbe: {httpGet: {path: /report, port: 8080}, periodSeconds: 5, timeoutSeconds: 60}
  lifecycle: {preStop: {exec: {command: [cmd, /c, 'echo before the stop> C:\host\hook.txt']}}}
`)
	pod := p.ready()
	if o := pod.Spec.Overhead; o.Memory().Value() != 320<<20 || pod.Spec.NodeSelector["paddock.dev/wcow"] != "true" {
		t.Errorf("overhead %v, selector %v", o, pod.Spec.NodeSelector)
	}
	if got, want := podMemoryLimit(t, pod), int64(512+320)<<20; got != want {
		t.Errorf("the pod's cgroup on the node is limited to %d bytes, want %d", got, want)
	}
	const script = `type C:\SETTINGS\colour.txt & echo. & type C:\one\Colour.TXT & echo. & ` +
		`type C:\var\run\secrets\kubernetes.io\serviceaccount\namespace & echo. & ` +
		`echo kept>C:\Scratch\x & type \scratch\X & echo %POD_IP% %Colour% %COMPUTERNAME% & echo from inside>C:\host\file.txt & exit 3`
	out, errOut, code := p.execute("web", "", "cmd", "/c", script)
	want := []string{"red", "red", namespace, "kept", pod.Status.PodIP + " red WINDOWS-POD"}
	if got := lines(out); !slices.Equal(got, want) || code != 3 {
		t.Errorf("cmd.exe printed %q, %q, code %d; want %q, code 3", got, errOut, code, want)
	}
	if got := readFile(t, host+"/file.txt"); strings.TrimSpace(got) != "from inside" {
		t.Errorf("the host path has %q", got)
	}
	reviewToken(t, lines(p.executed("web", "cmd", "/c", `type C:\var\run\secrets\kubernetes.io\serviceaccount\token`))[0], nil)
	if got := forwarded(t, p, 8080, "/report"); !strings.Contains(got, `"OS":"windows"`) {
		t.Errorf("through the forwarded port: %q", got)
	}
	logs, err := shared.Client.CoreV1().Pods(namespace).GetLogs(p.name, &corev1.PodLogOptions{Follow: true}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	p.gone()
	if got := readFile(t, host+"/hook.txt"); strings.TrimSpace(got) != "before the stop" {
		t.Errorf("preStop wrote %q", got)
	}
	if got, err := io.ReadAll(logs); string(got) != "serving\r\nstopping on terminated\r\n" {
		t.Errorf("log %q, %v", got, err)
	}
}

// executed is what a command, which must succeed, printed.
func (p *testPod) executed(container string, command ...string) string {
	p.t.Helper()
	out, errOut, code := p.execute(container, "", command...)
	if code != 0 {
		p.t.Fatalf("%q in %s/%s: exit code %d: %s%s", command, p.name, container, code, out, errOut)
	}
	return out
}

// lines are a text's, without the spaces that cmd.exe's echo keeps, and without empty ones.
func lines(text string) []string {
	var list []string
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// onlyPod is the one pod with a label.
func onlyPod(t *testing.T, app string) *testPod {
	t.Helper()
	pods, err := shared.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("pods of %s: %d, %v", app, len(pods.Items), err)
	}
	return &testPod{t, pods.Items[0].Name}
}
