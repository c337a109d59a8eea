package windows

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newWindowsNode is a node whose Windows pods' VMs boot from an image.
func newWindowsNode(t *testing.T, base string) *node {
	n := newNode(t)
	file := filepath.Join(n.dir, "config.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n.write("config.yaml", string(text)+fmt.Sprintf("windows: {baseImage: %q}\n", base))
	return n
}

// A Windows pod on a Windows node, from pull to removal; the daemon is killed in
// between and takes it over. Its guest service is the stand-in's.
func TestWindowsPod(t *testing.T) {
	image := pushWindows(t)
	n := newWindowsNode(t, image)
	n.start()
	n.pullWindows(image)
	sandbox := n.write("pod.json", fmt.Sprintf(`{"metadata": {"name": "w", "namespace": "default", "uid": "u", "attempt": 0}, "hostname": "web-0", "log_directory": %s,
		"annotations": {"io.containerd.cri.runtime-handler": "wcow"}, "windows": {}}`, quote(n.path("logs"))))
	n.write("share/config.txt", "x")
	container := n.write("container.json", fmt.Sprintf(`{"metadata": {"name": "c"}, "image": {"image": %q}, "log_path": "c.log", "windows": {},
		"mounts": [{"container_path": "C:\\config", "host_path": %s, "readonly": true}, {"container_path": "C:\\config.txt", "host_path": %s}],
		"command": ["wait"]}`, image, quote(n.path("share")), quote(n.path("share/config.txt"))))
	pod := n.crictl("runp", "--runtime", "wcow", sandbox)
	id := n.crictl("create", pod, container, sandbox)
	n.crictl("start", id)
	n.podAddress(pod)
	n.logs("waiting")
	if out := n.crictl("exec", "-s", id, "echo", "hello"); !strings.Contains(out, "hello") {
		t.Errorf("exec: %q", out)
	}
	if _, err := n.tryCrictl("exec", "-s", id, "exit", "3"); err == nil || !strings.Contains(err.Error(), "3") {
		t.Errorf("exec of what ends with 3: %v", err)
	}
	if out := n.crictl("stats", "-o", "json", id); !strings.Contains(out, id) {
		t.Errorf("stats: %s", out)
	}

	n.stop()
	n.start()
	if out := n.crictl("pods", "-q", "--state", "ready"); out != pod {
		t.Errorf("after a restart the ready pods are %q, want %q", out, pod)
	}
	if out := n.crictl("exec", "-s", id, "echo", "again"); !strings.Contains(out, "again") {
		t.Errorf("exec after a restart: %q", out)
	}

	n.crictl("stop", "-t", "10", id)
	if out := n.crictl("inspect", "-o", "go-template", "--template", "{{.status.state}} {{.status.exitCode}}", id); !strings.Contains(out, "EXITED -1073741510") {
		t.Errorf("after stop, by CtrlShutdown: %s", out)
	}
	n.crictl("rm", id)
	n.crictl("stopp", pod)
	n.crictl("rmp", pod)
	if left := n.s.Left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// pullWindows pulls an image for Windows pods.
func (n *node) pullWindows(image string) {
	n.t.Helper()
	config := n.write("pull.json", `{"metadata": {"name": "p", "namespace": "default", "uid": "u"}, "annotations": {"io.containerd.cri.runtime-handler": "wcow"}}`)
	n.crictl("pull", "--pod-config", config, image)
}

// logs waits for a line in the container's log.
func (n *node) logs(line string) {
	n.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		raw, err := os.ReadFile(filepath.Join(n.dir, "logs", "c.log"))
		if strings.Contains(string(raw), " stdout F "+line) {
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("the log: %q, %v", raw, err)
		}
	}
}

// Without an image to boot from, a node says what it needs.
func TestWindowsPodWithoutBaseImage(t *testing.T) {
	n := newNode(t)
	n.start()
	sandbox := n.write("pod.json", `{"metadata": {"name": "w", "namespace": "default", "uid": "u", "attempt": 0}, "windows": {}}`)
	if _, err := n.tryCrictl("runp", "--runtime", "wcow", sandbox); err == nil || !strings.Contains(err.Error(), "wcow") {
		t.Errorf("a Windows pod: %v", err)
	}
}
