package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testResize: kubectl changes a running container's limits, which it keeps running through.
func testResize(t *testing.T) {
	p := apply(t, "resized", `
containers:
- name: c
  command: [sleep, "1000"]
  resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 200m, memory: 64Mi}}
`)
	before := container(p.ready(), "c")
	for _, step := range []struct{ cpu, memory, quota string }{
		{"500m", "160Mi", "50000 100000"}, // more than the VM began with
		{"300m", "96Mi", "30000 100000"},
	} {
		kubectl(t, "patch", "pod", p.name, "--subresource", "resize", "-p", fmt.Sprintf(
			`{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"100m","memory":"64Mi"},"limits":{"cpu":%q,"memory":%q}}}]}}`, step.cpu, step.memory))
		pod := p.await("has its new limits", func(pod *corev1.Pod) bool {
			r := container(pod, "c").Resources
			return r != nil && r.Limits.Cpu().Equal(resource.MustParse(step.cpu)) && r.Limits.Memory().Equal(resource.MustParse(step.memory))
		})
		if c := container(pod, "c"); c.ContainerID != before.ContainerID || c.RestartCount != 0 {
			t.Errorf("the container was restarted: %+v", c)
		}
		memory := resource.MustParse(step.memory)
		eventually(t, "the guest's cgroup follows", func() error {
			if got, want := p.sh("c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"), fmt.Sprintf("%d\n%s", memory.Value(), step.quota); got != want {
				return fmt.Errorf("%q, want %q", got, want)
			}
			return nil
		})
	}
}

// testEviction: a pod that writes more into its container's file system than its
// limit of local storage is evicted, by the figures that Paddock gives kubelet.
func testEviction(t *testing.T) {
	p := apply(t, "writes-its-layer", `
containers:
- name: c
  command: [sh, -c, "dd if=/dev/zero of=/big bs=1M count=30; sleep 1000"]
  resources: {limits: {ephemeral-storage: 10Mi}}
`)
	pod := p.phase(corev1.PodFailed)
	if pod.Status.Reason != "Evicted" || !strings.Contains(pod.Status.Message, "ephemeral local storage") {
		t.Errorf("%s: %s", pod.Status.Reason, pod.Status.Message)
	}
}

// summary is what this test reads of kubelet's /stats/summary.
type summary struct {
	Pods []struct {
		PodRef     struct{ Name string }
		CPU        struct{ UsageCoreNanoSeconds, UsageNanoCores uint64 }
		Memory     struct{ WorkingSetBytes uint64 }
		Network    struct{ RxBytes, TxBytes uint64 }
		Containers []struct {
			Name   string
			CPU    struct{ UsageCoreNanoSeconds uint64 }
			Memory struct{ WorkingSetBytes uint64 }
			Rootfs struct{ UsedBytes uint64 }
		}
	}
}

// askKubelet reads one of kubelet's own paths, through the API server.
func askKubelet(t *testing.T, path string) ([]byte, error) {
	return shared.Client.CoreV1().RESTClient().Get().Resource("nodes").Name(NodeName).SubResource("proxy").Suffix(path).DoRaw(t.Context())
}

// testStats: kubelet, which asks Paddock alone, tells a pod's figures as `kubectl top` wants them.
func testStats(t *testing.T) {
	p := apply(t, "measured", `
containers:
- name: c
  command: [sh, -c, "dd if=/dev/zero of=/file bs=1M count=5; dd if=/dev/zero of=/dev/shm/held bs=1M count=8; i=0; while :; do i=$((i+1)); done"]
  resources: {limits: {cpu: 100m, memory: 64Mi}}
`)
	p.ready()
	eventually(t, "the summary has the pod's figures", func() error {
		text, err := askKubelet(t, "stats/summary")
		if err != nil {
			return err
		}
		var s summary
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		for _, pod := range s.Pods {
			if pod.PodRef.Name != p.name {
				continue
			}
			if pod.CPU.UsageCoreNanoSeconds == 0 || pod.CPU.UsageNanoCores == 0 || pod.Memory.WorkingSetBytes < 8<<20 ||
				len(pod.Containers) != 1 || pod.Containers[0].CPU.UsageCoreNanoSeconds == 0 ||
				pod.Containers[0].Memory.WorkingSetBytes < 8<<20 || pod.Containers[0].Memory.WorkingSetBytes > 64<<20 || pod.Containers[0].Rootfs.UsedBytes < 3<<20 {
				return fmt.Errorf("%+v", pod)
			}
			return nil
		}
		return fmt.Errorf("no %s", p.name)
	})
	for path, series := range map[string][]string{
		"metrics/resource": {"container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "pod_cpu_usage_seconds_total", "pod_memory_working_set_bytes"},
		"metrics/cadvisor": {"container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_network_receive_bytes_total"},
	} {
		eventually(t, path+" has the pod's figures", func() error {
			text, err := askKubelet(t, path)
			if err != nil {
				return err
			}
			for _, name := range series {
				if !regexp.MustCompile(`(?m)^`+name+`\{[^}]*pod="`+p.name+`"[^}]*\} [1-9]`).Match(text) &&
					!regexp.MustCompile(`(?m)^`+name+`\{[^}]*pod="`+p.name+`"[^}]*\} 0\.0*[1-9]`).Match(text) {
					return fmt.Errorf("no figure of %s", name)
				}
			}
			return nil
		})
	}
}

// testHostNetworkPod: a pod on the node's network has the node's address, and answers there.
func testHostNetworkPod(t *testing.T) {
	p := apply(t, "on-the-node", `
hostNetwork: true
containers: [{name: web, image: `+healthy+`, args: ["-http=:18080", "-grpc=:19090", "-tcp=:17070"], readinessProbe: {httpGet: {path: /healthz, port: 18080}, periodSeconds: 1, timeoutSeconds: 30}}]
`)
	pod := p.ready()
	if pod.Status.PodIP != NodeIP || pod.Status.HostIP != NodeIP {
		t.Errorf("addresses: pod %s, node %s, want %s", pod.Status.PodIP, pod.Status.HostIP, NodeIP)
	}
	if _, err := getter("http://" + NodeIP + ":18080/healthz")(); err != nil {
		t.Error(err)
	}
	// What only the node's localhost has: etcd. It says no while it is busy.
	eventually(t, "the pod reaches etcd", func() error {
		if out, errOut, _ := p.execute("web", "", "wget", "-q", "-O", "-", "http://127.0.0.1:2379/health"); !strings.Contains(out, `"health":"true"`) {
			return fmt.Errorf("%q, %s", out, errOut)
		}
		return nil
	})
}

// testUserNamespacePod: with hostUsers: false root in the pod is somebody else on the node.
func testUserNamespacePod(t *testing.T) {
	host := t.TempDir()
	if err := os.Chmod(host, 0o777); err != nil {
		t.Fatal(err)
	}
	p := apply(t, "mapped", `
hostUsers: false
volumes:
- {name: token, secret: {secretName: mapped}}
- {name: v, emptyDir: {}}
containers: [{name: c, command: [sleep, "1000"], volumeMounts: [{name: token, mountPath: /secret}, {name: v, mountPath: /v}]}]
`)
	if _, err := shared.Client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "mapped"}, StringData: map[string]string{"key": "value"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p.ready()
	if fields := strings.Fields(p.sh("c", "cat /proc/self/uid_map")); len(fields) != 3 || fields[0] != "0" || fields[1] == "0" || fields[2] != "65536" {
		t.Errorf("uid_map %v, want 0 to be mapped to another id", fields)
	}
	if got := p.sh("c", "touch /v/file && stat -c %u /v/file /secret/..data/key && cat /secret/key"); got != "0\n0\nvalue" {
		t.Errorf("owners and content: %q", got)
	}
}

// testStaticPod: a manifest on the node is run by kubelet alone, shown by the API server, and ends with its file.
func testStaticPod(t *testing.T) {
	file := filepath.Join(shared.StaticPodDir(), "static.yaml")
	if err := os.WriteFile(file, []byte(`
apiVersion: v1
kind: Pod
metadata: {name: static, namespace: default}
spec:
  dnsPolicy: Default
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: `+busybox+`, command: [sh, -c, "echo from a file; sleep 1000"]}]
`), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &testPod{t, "static-" + NodeName}
	mirrored := func() error {
		_, err := shared.Client.CoreV1().Pods(namespace).Get(t.Context(), p.name, metav1.GetOptions{})
		return err
	}
	eventually(t, "the API server shows the pod", mirrored)
	p.ready()
	// It is ready before its shell has printed.
	p.logged(corev1.PodLogOptions{}, func(log string) bool { return log == "from a file\n" })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is gone", func() error {
		if mirrored() == nil {
			return fmt.Errorf("still there")
		}
		return nil
	})
}

// testNode: the node says what its runtime is, and what its handlers can do.
func testNode(t *testing.T) {
	node, err := shared.Client.CoreV1().Nodes().Get(t.Context(), NodeName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if v := node.Status.NodeInfo.ContainerRuntimeVersion; !strings.HasPrefix(v, "paddock://") {
		t.Errorf("runtime %q", v)
	}
	named := map[string]corev1.NodeRuntimeHandler{}
	for _, h := range node.Status.RuntimeHandlers {
		named[h.Name] = h
	}
	handlers, err := shared.Handlers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range handlers {
		if _, ok := named[h]; !ok {
			t.Errorf("the node does not tell of handler %q: %v", h, named)
		}
	}
	if f := named["lcow"].Features; f == nil || f.UserNamespaces == nil || !*f.UserNamespaces || f.RecursiveReadOnlyMounts == nil || !*f.RecursiveReadOnlyMounts {
		t.Errorf("features of lcow: %+v", f)
	}
	if f := node.Status.Features; f == nil || f.SupplementalGroupsPolicy == nil || !*f.SupplementalGroupsPolicy {
		t.Errorf("features of the node: %+v", f)
	}
	for _, cond := range node.Status.Conditions {
		if want := corev1.ConditionFalse; cond.Type != corev1.NodeReady && cond.Status != want {
			t.Errorf("%s is %s: %s", cond.Type, cond.Status, cond.Message)
		}
	}
	// Kubelet reads what the images take from ImageFsInfo.
	eventually(t, "the image file system's size", func() error {
		text, err := askKubelet(t, "stats/summary")
		if err != nil {
			return err
		}
		var s struct {
			Node struct {
				Runtime struct {
					ImageFs struct{ CapacityBytes, UsedBytes uint64 }
				}
			}
		}
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		if fs := s.Node.Runtime.ImageFs; fs.CapacityBytes == 0 || fs.UsedBytes == 0 {
			return fmt.Errorf("%+v", fs)
		}
		return nil
	})
}
