package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/paddock-run/paddock/e2e/checkout"
)

// metricsOverlay are metrics-server's own manifests with this cluster's image, under Paddock;
// the cluster's CA signed kubelet's certificate, of which a pod knows nothing.
const metricsOverlay = `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [base]
images: [{name: gcr.io/k8s-staging-metrics-server/metrics-server, newName: ` + ImageHost + `/metrics-server, newTag: "1"}]
patches:
- target: {kind: Deployment, name: metrics-server}
  patch: |
    - {op: add, path: /spec/template/spec/runtimeClassName, value: lcow}
    - {op: add, path: /spec/template/spec/dnsPolicy, value: Default}
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: --kubelet-insecure-tls}
    - {op: replace, path: /spec/template/spec/containers/0/livenessProbe/timeoutSeconds, value: 20}
    - {op: replace, path: /spec/template/spec/containers/0/readinessProbe/timeoutSeconds, value: 20}
    - {op: replace, path: /spec/template/spec/containers/0/readinessProbe/initialDelaySeconds, value: 1}
`

// testTop: metrics-server, itself a pod of Paddock's, makes of what kubelet got
// from Paddock the figures that kubectl top and autoscalers see.
func testTop(t *testing.T) {
	dir := t.TempDir()
	manifests, err := checkout.Built("metrics-server/manifests", "k8s")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "base"), os.DirFS(manifests)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(metricsOverlay), 0o644); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "apply", "-k", dir)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if out, err := shared.RunKubectl(ctx, "", "delete", "--wait=false", "-k", dir); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	p := apply(t, "busy", `
containers:
- name: busy
  command: [sh, -c, "dd if=/dev/zero of=/dev/shm/held bs=1M count=20; while :; do :; done"]
  resources: {limits: {cpu: 100m, memory: 64Mi}}
- {name: idle, command: [sleep, "1000"]}
`)
	p.ready()
	kubectl(t, "-n", "kube-system", "rollout", "status", "deployment/metrics-server", "--timeout="+patience.String())
	// It is allowed a tenth of a processor, and takes it, if the machine has it to give.
	top{name: []string{p.name, "busy"}, cpu: [2]string{"20m", "130m"}, memory: [2]string{"20Mi", "64Mi"}}.await(t, "pod", p.name, "--containers")
	top{name: []string{p.name, "idle"}, cpu: [2]string{"0", "20m"}, memory: [2]string{"0", "10Mi"}}.await(t, "pod", p.name, "--containers")
	top{name: []string{NodeName}, cpu: [2]string{"20m", "1000"}, memory: [2]string{"1Mi", "1Ti"}}.await(t, "node")
}

// top is a line of kubectl top: how it begins, and the least and the most that it may tell.
type top struct {
	name        []string
	cpu, memory [2]string
}

// await waits until kubectl top tells what it should.
func (want top) await(t *testing.T, args ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("kubectl top tells of %s", want.name), func() error {
		out, err := shared.RunKubectl(t.Context(), "", append(append([]string{"top"}, args...), "--no-headers")...)
		if err != nil {
			return err
		}
		for _, line := range strings.Split(out, "\n") {
			if want.is(strings.Fields(line)) {
				return nil
			}
		}
		return fmt.Errorf("%q, want %+v", out, want)
	})
}

// is tells whether a line's words are as wanted.
func (want top) is(words []string) bool {
	n := len(want.name)
	if len(words) < n+2 || !slices.Equal(words[:n], want.name) {
		return false
	}
	figures := slices.DeleteFunc(words[n:], func(word string) bool { return strings.HasSuffix(word, "%") })
	return len(figures) == 2 && within(figures[0], want.cpu) && within(figures[1], want.memory)
}

func within(figure string, bounds [2]string) bool {
	q, err := resource.ParseQuantity(figure)
	return err == nil && q.Cmp(resource.MustParse(bounds[0])) >= 0 && q.Cmp(resource.MustParse(bounds[1])) <= 0
}
