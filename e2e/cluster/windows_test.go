package cluster

import (
	"errors"
	"fmt"
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
	handlers, err := shared.Handlers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(handlers, "wcow") {
		t.Skipf("this build has no Windows pods: the daemon's handlers are %q", handlers)
	}
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

// onlyPod is the one pod with a label.
func onlyPod(t *testing.T, app string) *testPod {
	t.Helper()
	pods, err := shared.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("pods of %s: %d, %v", app, len(pods.Items), err)
	}
	return &testPod{t, pods.Items[0].Name}
}
