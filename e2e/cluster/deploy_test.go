package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paddock-run/paddock/e2e/checkout"
)

const (
	system     = "paddock-system"
	annotation = "paddock.dev/linux-pod"
)

// overlay is deploy/ with this cluster's images, a folder for the node's root, and certificates that are looked at often.
const overlay = `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%[1]s]
images:
- {name: ghcr.io/paddock-run/paddock, newName: ` + ImageHost + `/paddock, newTag: "1"}
- {name: ghcr.io/paddock-run/paddock-webhook, newName: ` + ImageHost + `/webhook, newTag: "1"}
patches:
- target: {kind: DaemonSet, name: paddock-linux}
  patch: |
    - {op: replace, path: /spec/template/spec/volumes/0/hostPath/path, value: %[2]s/usr/local}
    - {op: replace, path: /spec/template/spec/volumes/1/hostPath/path, value: %[2]s/etc/paddock}
    - {op: replace, path: /spec/template/spec/volumes/2/hostPath/path, value: %[2]s/etc/systemd/system}
    - {op: add, path: /spec/template/spec/runtimeClassName, value: lcow}
- target: {kind: Deployment, name: paddock-webhook}
  patch: |
    - {op: add, path: /spec/template/spec/runtimeClassName, value: lcow}
    - {op: replace, path: /spec/template/spec/containers/0/livenessProbe/timeoutSeconds, value: 20}
    - {op: replace, path: /spec/template/spec/containers/0/readinessProbe/timeoutSeconds, value: 20}
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: -interval=3s}
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: -ca-settle=5s}
`

// nodeRoot is where the installer finds what is the node's root elsewhere.
func (c *Cluster) nodeRoot() string { return filepath.Join(c.opts.Root, "node") }

// deploy applies deploy/ and waits for the webhook, without which no pod of the RuntimeClass lcow can be made.
func deploy(ctx context.Context, c *Cluster) error {
	dir := filepath.Join(c.opts.Root, "overlay")
	for _, d := range []string{dir, c.nodeRoot() + "/usr/local", c.nodeRoot() + "/etc/systemd/system"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	base, err := filepath.Rel(dir, filepath.Join(root, "deploy"))
	if err != nil {
		return err
	}
	text := fmt.Sprintf(overlay, base, c.nodeRoot())
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o644); err != nil {
		return err
	}
	if out, err := c.RunKubectl(ctx, "", "apply", "--server-side", "-k", dir); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if out, err := c.RunKubectl(ctx, "", "-n", system, "rollout", "status", "deployment/paddock-webhook", "--timeout="+patience.String()); err != nil {
		pods, _ := c.RunKubectl(ctx, "", "-n", system, "describe", "pods")
		return fmt.Errorf("%w\n%s\n%s", err, out, pods)
	}
	return nil
}

// testDeployedManifests: the API server takes deploy/ as it is.
func testDeployedManifests(t *testing.T) {
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	out := kubectl(t, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-k", filepath.Join(root, "deploy"))
	for _, want := range []string{
		"runtimeclass.node.k8s.io/lcow", "runtimeclass.node.k8s.io/wcow", "daemonset.apps/paddock-linux", "daemonset.apps/paddock-windows",
		"deployment.apps/paddock-webhook", "mutatingwebhookconfiguration.admissionregistration.k8s.io/paddock-webhook",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not applied: %s in\n%s", want, out)
		}
	}
}

// testInstaller: the DaemonSet has put onto the node what is in its image, and only this node's kind of it.
func testInstaller(t *testing.T) {
	kubectl(t, "-n", system, "rollout", "status", "daemonset/paddock-linux", "--timeout="+patience.String())
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(shared.nodeRoot(), "usr/local/lib/paddock")
	eventually(t, "everything is installed", func() error { // the digests are written last
		_, err := os.Stat(filepath.Join(lib, "installed"))
		return err
	})
	for installed, built := range map[string]string{"paddock": "paddock", "guest/initrd.img": "guest/initrd.img", "guest/vmlinux": "guest/vmlinux"} {
		if got, want := digest(t, filepath.Join(lib, installed)), digest(t, filepath.Join(root, "build", built)); got != want {
			t.Errorf("%s is not the one of the image", installed)
		}
	}
	if out, err := exec.Command(filepath.Join(shared.nodeRoot(), "usr/local/bin/paddock"), "--version").CombinedOutput(); err != nil {
		t.Errorf("the program on the node: %v: %s", err, out)
	}
	for _, unit := range []string{"paddock.service", "paddock-update.path"} {
		if text := readFile(t, filepath.Join(shared.nodeRoot(), "etc/systemd/system/multi-user.target.wants", unit)); !strings.Contains(text, "/usr/local/lib/paddock/") {
			t.Errorf("%s: %q", unit, text)
		}
	}
	windows, err := shared.Client.AppsV1().DaemonSets(system).Get(t.Context(), "paddock-windows", metav1.GetOptions{})
	if err != nil || windows.Status.DesiredNumberScheduled != 0 {
		t.Errorf("of Windows nodes: %+v, %v", windows.Status, err)
	}
}

func digest(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	return sha256.Sum256([]byte(readFile(t, file)))
}

// testRuntimeClass: a pod of the RuntimeClass gets the overhead and the node's
// selector, and the node's cgroup of it is as much larger.
func testRuntimeClass(t *testing.T) {
	p := apply(t, "of-a-class", `containers: [{name: c, command: [sleep, "1000"], resources: {limits: {cpu: 200m, memory: 128Mi}}}]`)
	pod := p.ready()
	overhead := pod.Spec.Overhead
	if overhead.Memory().Value() != 160<<20 || pod.Spec.NodeSelector["paddock.dev/lcow"] != "true" || len(pod.Spec.Tolerations) < 2 {
		t.Errorf("overhead %v, selector %v, tolerations %v", overhead, pod.Spec.NodeSelector, pod.Spec.Tolerations)
	}
	want := int64(128<<20) + overhead.Memory().Value()
	if got := podMemoryLimit(t, pod); got != want {
		t.Errorf("the pod's cgroup on the node is limited to %d bytes, want %d", got, want)
	}
}

// podMemoryLimit reads the limit of the cgroup that kubelet made for a guaranteed or burstable pod.
func podMemoryLimit(t *testing.T, pod *corev1.Pod) (limit int64) {
	t.Helper()
	class := ""
	if pod.Status.QOSClass == corev1.PodQOSBurstable {
		class = "burstable/"
	}
	for _, pattern := range []string{"/sys/fs/cgroup/memory%s/kubepods/%spod%s/memory.limit_in_bytes", "/sys/fs/cgroup%s/kubepods/%spod%s/memory.max"} {
		text, err := os.ReadFile(fmt.Sprintf(pattern, shared.cgroup, class, pod.UID))
		if err != nil {
			continue
		}
		if _, err := fmt.Sscan(string(text), &limit); err != nil {
			t.Fatal(err)
		}
	}
	return limit
}

// carriedPod is what the test reads of the annotation.
type carriedPod struct {
	Version    int
	Groups     []int64
	Containers map[string]struct {
		User             *int64
		NoNewPrivileges  bool
		DropCapabilities []string
	}
}

// testWebhook: the API server calls the webhook, which writes what the pod's spec
// says, at once and whenever the pod changes, and nothing else stands there.
func testWebhook(t *testing.T) {
	pods := shared.Client.CoreV1().Pods(namespace)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "carried", Annotations: map[string]string{annotation: "forged"}}}
	pod.Spec = *decode[corev1.PodSpec](t, `
securityContext: {runAsUser: 1000, fsGroup: 2000}
containers:
- {name: c, command: [sh, -c, "id -u; sleep 1000"], securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}
`)
	p := create(t, pod)
	check := func(when string, pod *corev1.Pod) {
		t.Helper()
		var c carriedPod
		if err := json.Unmarshal([]byte(pod.Annotations[annotation]), &c); err != nil {
			t.Fatalf("%s: %v: %q", when, err, pod.Annotations[annotation])
		}
		own := c.Containers["c"]
		if c.Version != 1 || len(c.Groups) != 1 || c.Groups[0] != 2000 || own.User == nil || *own.User != 1000 || !own.NoNewPrivileges || len(own.DropCapabilities) != 1 {
			t.Errorf("%s: %+v", when, c)
		}
	}
	check("made", p.get())
	patched, err := pods.Patch(t.Context(), p.name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+annotation+`":"{}"}}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	check("changed", patched)
	p.ready()
	// Of a pod that is none of Paddock's RuntimeClasses, the annotation is taken away.
	other := decode[corev1.Pod](t, `
metadata: {name: not-carried, annotations: {`+annotation+`: forged, other: kept}}
spec: {schedulingGates: [{name: never.example/never}], containers: [{name: c, image: none}]}
`)
	made, err := pods.Create(t.Context(), other, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup((&testPod{t, "not-carried"}).forget)
	if _, there := made.Annotations[annotation]; there || made.Annotations["other"] != "kept" {
		t.Errorf("annotations of another pod: %v", made.Annotations)
	}
}

// TestWebhookCertificates: when the CA is lost the replicas make and announce
// another one, together; the API server goes on calling them. Until then nobody
// can make pods.
func TestWebhookCertificates(t *testing.T) {
	bundle := func() []byte {
		cfg, err := shared.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), "paddock-webhook", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Webhooks[0].ClientConfig.CABundle
	}
	before := bundle()
	if len(before) == 0 {
		t.Fatal("no CA is announced")
	}
	secrets := shared.Client.CoreV1().Secrets(system)
	secret, err := secrets.Get(t.Context(), "paddock-webhook-tls", metav1.GetOptions{})
	if err != nil || !bytes.Equal(secret.Data["ca.crt"], before) {
		t.Fatalf("the Secret does not have the CA that is announced: %v", err)
	}
	if err := secrets.Delete(t.Context(), secret.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another CA is announced", func() error {
		if bytes.Equal(bundle(), before) {
			return errors.New("still the CA from before")
		}
		return nil
	})
	awaitWebhook(t)
}

// awaitWebhook waits until pods can be made.
func awaitWebhook(t *testing.T) {
	t.Helper()
	kubectl(t, "-n", system, "rollout", "status", "deployment/paddock-webhook", "--timeout="+patience.String())
	dry := decode[corev1.Pod](t, `
metadata: {generateName: dry-}
spec: {runtimeClassName: lcow, containers: [{name: c, image: none}]}
`)
	called := 0
	eventually(t, "the webhook answers", func() error {
		made, err := shared.Client.CoreV1().Pods(namespace).Create(t.Context(), dry, metav1.CreateOptions{DryRun: []string{"All"}})
		if err != nil {
			called = 0
			return err
		}
		if made.Annotations[annotation] == "" {
			t.Fatalf("made without the webhook: %v", made.Annotations)
		}
		if called++; called < 10 { // over both replicas
			return fmt.Errorf("%d calls in a row succeeded", called)
		}
		return nil
	})
}
