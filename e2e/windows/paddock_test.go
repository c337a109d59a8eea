package windows

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paddock-run/paddock/e2e/windows/hcs"
)

// patience ends a failed test.
const patience = 3 * time.Minute

const (
	endpoint = "npipe:////./pipe/paddock-e2e"
	subnet   = "10.93.0.0/24"
	gateway  = "10.93.0.1"
)

// node is a Windows node: the daemon's program and state, and the stand-ins.
type node struct {
	t      *testing.T
	s      *hcs.Server
	dir    string // of this test
	bin    string // of the Windows programs
	env    []string
	daemon *exec.Cmd
	log    syncBuffer
}

// syncBuffer is a bytes.Buffer for two goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newNode(t *testing.T) *node {
	t.Helper()
	s := standIn(t)
	if err := s.ServeNetworks(); err != nil {
		t.Fatal(err)
	}
	if err := s.MakeNetwork("pods", subnet, gateway); err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, s: s, dir: t.TempDir(), bin: filepath.Join(wine.Repo, "build", "windows"), env: []string{"PADDOCK_STANDIN=" + s.Address()}}
	n.build()
	n.write("cni/conf/10-pods.conflist", fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "pods", "plugins": [{
		"type": "win-bridge", "apiVersion": 2,
		"ipam": {"type": "host-local", "dataDir": %s, "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}`,
		quote(n.path("ipam")), subnet))
	n.write("config.yaml", fmt.Sprintf("root: '%s'\nstate: '%s'\nsocket: %s\nguestDir: '%s'\nlogLevel: 2\nvm: {pool: {min: 0, max: 0}, scratch: 2Gi}\ncni: {confDir: '%s', binDirs: ['%s']}\n",
		n.path("root"), n.path("state"), endpoint, Path(filepath.Join(wine.Repo, "build", "guest")), n.path("cni/conf"), Path(filepath.Join(n.bin, "cni"))))
	t.Cleanup(func() {
		n.stop()
		endPrograms(t, n.dir)
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", n.log.String())
		}
	})
	return n
}

func quote(s string) string { b, _ := json.Marshal(s); return string(b) }

// path is a file of the node as Windows programs name it.
func (n *node) path(name string) string { return Path(filepath.Join(n.dir, name)) }

func (n *node) write(name, text string) string {
	n.t.Helper()
	file := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
	return n.path(name)
}

// build compiles the daemon, crictl and the CNI project's plugins for Windows, to
// the repository's build folder: what is up to date there is not linked again.
func (n *node) build() {
	n.t.Helper()
	if err := wine.Build(filepath.Join(n.bin, "paddock.exe"), "./cmd/paddock", false); err != nil {
		n.t.Fatal(err)
	}
	crictl := buildTool(filepath.Join(wine.Repo, "e2e"), filepath.Join(n.bin, "crictl.exe"), "sigs.k8s.io/cri-tools/cmd/crictl")
	if err := errors.Join(crictl, buildPlugins(filepath.Join(n.bin, "cni"))); err != nil {
		n.t.Fatal(err)
	}
}

// start runs the daemon and waits until it answers.
func (n *node) start() {
	n.t.Helper()
	n.daemon = wine.Command(context.Background(), n.env, filepath.Join(n.bin, "paddock.exe"), "serve", "--config", n.path("config.yaml"))
	n.daemon.Stdout, n.daemon.Stderr = &n.log, &n.log
	n.daemon.WaitDelay = time.Second // a CNI plugin that outlives it has them, too
	const ready = "Serving CRI"
	before := strings.Count(n.log.String(), ready)
	if err := n.daemon.Start(); err != nil {
		n.t.Fatal(err)
	}
	// Not before the pipe is there in full: under Wine a client that comes in
	// between would never be answered (see hostpipe.settle).
	for end := time.Now().Add(patience); strings.Count(n.log.String(), ready) == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatal("the daemon does not serve")
		}
	}
	n.crictl("version")
}

// stop ends the daemon as a power failure of its process does.
func (n *node) stop() {
	if n.daemon != nil {
		_ = n.daemon.Process.Kill()
		_ = n.daemon.Wait()
		n.daemon = nil
	}
}

func (n *node) tryCrictl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := wine.Command(ctx, n.env, filepath.Join(n.bin, "crictl.exe"), append([]string{"-r", endpoint, "-i", endpoint, "-t", "2m"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("crictl %q: %w: %s", args, err, errs.String())
	}
	return strings.TrimSpace(strings.ReplaceAll(string(out), "\r\n", "\n")), nil
}

func (n *node) crictl(args ...string) string {
	n.t.Helper()
	begin := time.Now()
	out, err := n.tryCrictl(args...)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Logf("crictl %s: %v", args[0], time.Since(begin).Round(time.Millisecond))
	return out
}

// A Linux pod on a Windows node, from pull to removal, by crictl through the named
// pipe; the daemon is killed in between and takes the pod over.
func TestLinuxPod(t *testing.T) {
	image := pushBusybox(t)
	n := newNode(t)
	n.start()
	n.crictl("pull", image)
	if out := n.crictl("images"); !strings.Contains(out, "busybox") {
		t.Errorf("images: %s", out)
	}
	sandbox := n.write("pod.json", fmt.Sprintf(`{"metadata": {"name": "p", "namespace": "default", "uid": "u", "attempt": 0}, "log_directory": %s, "linux": {}}`, quote(n.path("logs"))))
	container := n.write("container.json", fmt.Sprintf(`{"metadata": {"name": "c"}, "image": {"image": %q}, "log_path": "c.log", "linux": {},
		"command": ["sh", "-c", "echo out; echo err >&2; cat /etc/hostname; echo page > /www/index.html; exec httpd -f -p 8080 -h /www"]}`, image))
	pod := n.crictl("runp", sandbox)
	id := n.crictl("create", pod, container, sandbox)
	n.crictl("start", id)
	address := n.podAddress(pod)
	n.serves(address)
	if log := n.crictl("logs", id); !strings.Contains(log, "out") {
		t.Errorf("logs: %q", log)
	}
	if raw, err := os.ReadFile(filepath.Join(n.dir, "logs", "c.log")); err != nil || !strings.Contains(string(raw), " stdout F out\n") {
		t.Errorf("log file: %q, %v", raw, err)
	}
	if out := n.crictl("exec", "-s", id, "uname", "-s"); out != "Linux" {
		t.Errorf("exec: %q", out)
	}
	if out := n.crictl("exec", id, "df", "-m", "/"); !strings.Contains(out, "/") || scratchMiB(out) < 1500 {
		t.Errorf("the scratch disk did not grow to its size: %s", out)
	}
	if out := n.crictl("stats", "-o", "json", id); !strings.Contains(out, id) {
		t.Errorf("stats: %s", out)
	}

	n.stop()
	n.start()
	if out := n.crictl("pods", "-q", "--state", "ready"); out != pod {
		t.Errorf("after a restart the ready pods are %q, want %q", out, pod)
	}
	n.serves(address)
	if out := n.crictl("exec", "-s", id, "echo", "again"); out != "again" {
		t.Errorf("exec after a restart: %q", out)
	}

	n.crictl("stop", "-t", "1", id)
	if out := n.crictl("inspect", "-o", "go-template", "--template", "{{.status.state}}", id); !strings.Contains(out, "EXITED") {
		t.Errorf("state after stop: %s", out)
	}
	n.crictl("rm", id)
	n.crictl("stopp", pod)
	n.crictl("rmp", pod)
	n.crictl("rmi", image)
	if left := n.s.Left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// scratchMiB is the size in df's last line.
func scratchMiB(df string) int {
	lines := strings.Split(strings.TrimSpace(df), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	size := 0
	if len(fields) > 1 {
		fmt.Sscan(fields[1], &size)
	}
	return size
}

func (n *node) podAddress(pod string) string {
	n.t.Helper()
	var status struct {
		Status struct {
			Network struct{ IP string }
		}
	}
	if err := json.Unmarshal([]byte(n.crictl("inspectp", "-o", "json", pod)), &status); err != nil {
		n.t.Fatal(err)
	}
	if !strings.HasPrefix(status.Status.Network.IP, "10.93.0.") {
		n.t.Fatalf("the pod's address is %q", status.Status.Network.IP)
	}
	return status.Status.Network.IP
}

// serves waits until the pod answers at its address on the node's network.
func (n *node) serves(address string) {
	n.t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		resp, err := client.Get("http://" + address + ":8080/index.html")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if strings.Contains(string(body), "page") {
				return
			}
			err = fmt.Errorf("%s: %q", resp.Status, body)
		}
		if time.Now().After(end) {
			n.t.Fatalf("the pod does not answer: %v", err)
		}
	}
}
