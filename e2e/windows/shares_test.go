package windows

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Linux pod has folders and files of the Windows node, as kubelet mounts
// hostPaths, secrets and /etc/hosts; the daemon is killed in between, and then the share server.
func TestShares(t *testing.T) {
	image := pushBusybox(t)
	n := newNode(t)
	n.start()
	n.crictl("pull", image)
	n.write("data/from-node", "of the node\n")
	n.write("secret/..2024_1/token", "first\n")
	n.write("hosts", "10.1.2.3 kubelet-wrote-this\n")
	n.buildGuest("program/watchdir", "./cmd/watchdir")
	sandbox := n.write("pod.json", fmt.Sprintf(`{"metadata": {"name": "p", "namespace": "default", "uid": "u", "attempt": 0}, "log_directory": %s, "linux": {}}`, quote(n.path("logs"))))
	container := n.write("container.json", fmt.Sprintf(`{"metadata": {"name": "c"}, "image": {"image": %q}, "log_path": "c.log", "linux": {},
		"mounts": [{"host_path": %s, "container_path": "/data"}, {"host_path": %s, "container_path": "/secret", "readonly": true},
			{"host_path": %s, "container_path": "/etc/hosts"}, {"host_path": %s, "container_path": "/program", "readonly": true}],
		"command": ["sh", "-c", "echo begun >> /data/log; exec sleep 100000"]}`, image, quote(n.path("data")), quote(n.path("secret")), quote(n.path("hosts")), quote(n.path("program"))))
	pod := n.crictl("runp", sandbox)
	id := n.crictl("create", pod, container, sandbox)
	n.crictl("start", id)
	guest := func(script string) string {
		t.Helper()
		return n.crictl("exec", "-s", id, "sh", "-c", script)
	}
	n.sharesWork(guest)
	n.changesAreTold(guest)

	n.stop() // the server goes on without the daemon
	n.start()
	if out := guest("cat /data/from-node"); out != "edited by the node" {
		t.Errorf("after a restart of the daemon: %q", out)
	}
	n.serverDies(guest)

	n.crictl("stop", "-t", "1", id)
	n.crictl("rm", id)
	n.crictl("stopp", pod)
	n.crictl("rmp", pod)
	if left := n.s.Left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if left, err := os.ReadDir(filepath.Join(n.dir, "state", "share")); err != nil || len(left) > 0 {
		t.Errorf("share servers left behind: %v, %v", left, err)
	}
}

// sharesWork looks at the mounts from both sides.
func (n *node) sharesWork(guest func(string) string) {
	t := n.t
	t.Helper()
	for _, tc := range []struct{ name, script, want string }{
		{"a file of the node", "cat /data/from-node", "of the node"},
		{"what the container wrote when it began", "cat /data/log", "begun"},
		{"the single file", "cat /etc/hosts", "10.1.2.3 kubelet-wrote-this"},
		{"a secret", "cat /secret/..2024_1/token", "first"},
		{"a read-only mount", "(echo x > /secret/new) 2>/dev/null || echo refused", "refused"},
		{"folders, renames and removal", "mkdir -p /data/a/b && echo deep > /data/a/b/f && mv /data/a /data/c && cat /data/c/b/f && rm -r /data/c && ls /data", "deep\nfrom-node\nlog"},
		{"names that Windows has not", "echo odd > '/data/a:b?' && ls /data && cat '/data/a:b?' && rm '/data/a:b?'", "a:b?\nfrom-node\nlog\nodd"},
		{"a file in use without a name", "exec 3<>/data/f && rm /data/f && echo still >&3 && cat /proc/self/fd/3 2>/dev/null; ls /data/f 2>/dev/null || echo gone", "gone"},
		{"owners and modes", "touch /data/o && chmod 640 /data/o && chown 12:34 /data/o && stat -c '%a %u %g' /data/o && rm /data/o", "640 12 34"},
		{"links that are swapped", "cd /data && ln -s from-node l && cat l && ln -s log l2 && mv l2 l && readlink l && cat l && rm l", "of the node\nlog\nbegun"},
		{"a FIFO", "mkfifo /data/p && (echo through > /data/p &) && cat /data/p && rm /data/p", "through"},
		{"large files", "dd if=/dev/urandom of=/data/big bs=1M count=9 2>/dev/null && cp /data/big /tmp/big && cmp /data/big /tmp/big && wc -c < /data/big && rm /data/big", "9437184"},
		{"many files", "mkdir /data/many && i=0; while [ $i -lt 300 ]; do : > /data/many/$i; i=$((i+1)); done; ls /data/many | wc -l; rm -r /data/many", "300"},
		{"nothing above the share", "ls /data/../data/.. >/dev/null && cat /data/../../../etc/hosts", "10.1.2.3 kubelet-wrote-this"},
	} {
		if out := guest(tc.script); strings.TrimSpace(out) != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, out, tc.want)
		}
	}
	n.write("data/from-node", "edited by the node\n")
	n.becomes(guest, "cat /data/from-node", "edited by the node")
	n.write("hosts", "10.1.2.4 edited\n")
	n.becomes(guest, "cat /etc/hosts", "10.1.2.4 edited")
	if text, err := os.ReadFile(filepath.Join(n.dir, "data", "log")); err != nil || string(text) != "begun\n" {
		t.Errorf("on the node: %q, %v", text, err)
	}
}

// becomes waits until a script in the guest prints what the node has written: the guest may keep what it knows for a second.
func (n *node) becomes(guest func(string) string, script, want string) {
	n.t.Helper()
	out := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if out = guest(script + "; true"); out == want {
			return
		}
	}
	n.t.Errorf("%s: %q, want %q", script, out, want)
}

// changesAreTold: inotify in the container hears of what the node does, and once of what the container does.
func (n *node) changesAreTold(guest func(string) string) {
	n.t.Helper()
	n.write("data/watched/old", "")
	guest("ls /data/watched; (/program/watchdir /data/watched </dev/null >/tmp/events 2>&1 &); while ! cat /tmp/events | grep ready; do sleep 0.1; done")
	n.write("data/watched/a", "of the node\n")
	n.becomes(guest, "grep 'close a' /tmp/events | uniq", "close a")
	dir := filepath.Join(n.dir, "data", "watched")
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		n.t.Fatal(err)
	}
	n.becomes(guest, "grep -e from -e to /tmp/events", "from a\nto b")
	if err := os.Remove(filepath.Join(dir, "b")); err != nil {
		n.t.Fatal(err)
	}
	n.becomes(guest, "grep delete /tmp/events", "delete b")
	guest("echo mine > /data/watched/mine; rm /data/watched/mine; sleep 1")
	if out := guest("grep mine /tmp/events; true"); out != "create mine\nmodify mine\nclose mine\ndelete mine" {
		n.t.Errorf("of its own changes the container hears %q", out)
	}
	if out := guest("grep ' a' /tmp/events | uniq"); out != "create a\nmodify a\nclose a\nfrom a" {
		n.t.Errorf("of a the container hears %q", out)
	}
	guest("rm -r /data/watched")
}

// buildGuest compiles a program of the e2e module for the guest.
func (n *node) buildGuest(file, pkg string) {
	n.t.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(n.dir, file), pkg)
	cmd.Dir = filepath.Join(wine.Repo, "e2e")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("build %s: %v: %s", pkg, err, text)
	}
}

// serverDies kills the pod's share server, which the daemon starts again.
func (n *node) serverDies(guest func(string) string) {
	n.t.Helper()
	records, err := filepath.Glob(filepath.Join(n.dir, "state", "share", "*", "process.json"))
	if err != nil || len(records) != 1 {
		n.t.Fatalf("records of share servers: %v, %v", records, err)
	}
	before, err := os.ReadFile(records[0])
	if err != nil {
		n.t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(string(before), `{"pid":%d`, &pid); err != nil {
		n.t.Fatalf("%s: %v", before, err)
	}
	out, err := wine.Command(n.t.Context(), n.env, "taskkill.exe", "/f", "/pid", fmt.Sprint(pid)).CombinedOutput()
	if err != nil {
		n.t.Fatalf("taskkill: %v: %s", err, out)
	}
	n.becomes(guest, "cat /data/from-node 2>&1; echo after >> /data/log; tail -n 1 /data/log", "edited by the node\nafter")
	if after, err := os.ReadFile(records[0]); err != nil || string(after) == string(before) {
		n.t.Errorf("the record of the server is %q as before, %v", after, err)
	}
}
