package windows

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// names of single things in a call's arguments.
var (
	guids   = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}`)
	numbers = regexp.MustCompile(`[0-9]+`)
)

// kind is a call without what differs from pod to pod: calls of one kind are alike.
func kind(function string, args []string) string {
	if function != "HcsModifyComputeSystem" {
		return function
	}
	for _, field := range []string{"ResourcePath", "RequestType"} {
		for _, a := range args {
			if _, rest, found := strings.Cut(a, `"`+field+`":"`); found {
				value, _, _ := strings.Cut(rest, `"`)
				function += " " + numbers.ReplaceAllString(guids.ReplaceAllString(value, "*"), "*")
			}
		}
	}
	return function
}

// looks are calls that change nothing: a daemon that dies in one leaves nothing by it.
func looks(kind string) bool {
	return strings.HasPrefix(kind, "HcnQuery") || strings.HasPrefix(kind, "HcnEnumerate") || strings.HasPrefix(kind, "HcnOpen") || strings.HasPrefix(kind, "HcnClose") ||
		slices.Contains([]string{"HcsCreateOperation", "HcsCloseOperation", "HcsCancelOperation", "HcsEnumerateComputeSystems", "HcsGetComputeSystemProperties", "HcsGetServiceProperties"}, kind)
}

// TestDaemonKilledInCalls kills the daemon in the middle of each kind of call that a
// pod's life makes: the service does what was asked, and nobody hears. The next
// daemon finds its way, and nothing is left when the pods are removed.
func TestDaemonKilledInCalls(t *testing.T) {
	image := pushBusybox(t)
	n := newNode(t)
	n.start()
	n.crictl("pull", image)
	n.killInAll(t, n.shortLife(image))
}

// killInAll runs a pod's life once for each kind of call in it.
func (n *node) killInAll(t *testing.T, life []func() error) {
	var mu sync.Mutex
	var kinds []string
	n.s.Watch(func(function string, args []string) {
		mu.Lock()
		defer mu.Unlock()
		if k := kind(function, args); !looks(k) && !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	})
	for _, step := range life {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	n.s.Watch(nil)
	n.empty()
	t.Logf("calls of a pod's life: %q", kinds)
	if len(kinds) < 10 {
		t.Errorf("only %d kinds of calls were seen", len(kinds))
	}
	for _, k := range kinds {
		t.Run(k, func(t *testing.T) { n.killIn(t, k, life) })
	}
}

// The same with a Windows pod, which calls for shares and a guest that dials.
func TestDaemonKilledInCallsOfAWindowsPod(t *testing.T) {
	image := pushWindows(t)
	n := newWindowsNode(t, image)
	n.start()
	n.pullWindows(image)
	n.killInAll(t, n.shortWindowsLife(image))
}

func (n *node) shortWindowsLife(image string) []func() error {
	return n.life(`{"metadata": {"name": "p", "namespace": "default", "uid": "u", "attempt": 0}, "windows": {}}`,
		fmt.Sprintf(`{"metadata": {"name": "c"}, "image": {"image": %q}, "windows": {}, "command": ["wait"], "mounts": [{"container_path": "C:\\data", "host_path": %s}]}`,
			image, quote(n.path("shared"))), "--runtime", "wcow")
}

// shortLife are the steps of a pod with a container, by crictl.
func (n *node) shortLife(image string) []func() error {
	return n.life(`{"metadata": {"name": "p", "namespace": "default", "uid": "u", "attempt": 0}, "linux": {}}`,
		fmt.Sprintf(`{"metadata": {"name": "c"}, "image": {"image": %q}, "linux": {}, "command": ["sleep", "1000"]}`, image))
}

// life are the steps of a pod and a container that are configured so.
func (n *node) life(sandboxText, containerText string, options ...string) []func() error {
	sandbox, container := n.write("life.json", sandboxText), n.write("life-container.json", containerText)
	var pod, id string
	step := func(out *string, args ...string) error {
		text, err := n.tryCrictl(args...)
		if out != nil {
			*out = text
		}
		return err
	}
	return []func() error{
		func() error { return step(&pod, append(append([]string{"runp"}, options...), sandbox)...) },
		func() error { return step(&id, "create", pod, container, sandbox) },
		func() error { return step(nil, "start", id) },
		func() error { return step(nil, "stop", "-t", "0", id) },
		func() error { return step(nil, "rm", id) },
		func() error { return step(nil, "stopp", pod) },
		func() error { return step(nil, "rmp", pod) },
	}
}

// killIn kills the daemon in the first call of a kind, and starts it again.
func (n *node) killIn(t *testing.T, k string, life []func() error) {
	outer := n.t
	n.t = t
	defer func() { n.t = outer }()
	killed := make(chan struct{})
	var once sync.Once
	daemon := n.daemon
	n.s.Watch(func(function string, args []string) {
		if kind(function, args) == k {
			once.Do(func() {
				_ = daemon.Process.Kill()
				close(killed)
			})
		}
	})
	defer n.s.Watch(nil)
	for _, step := range life {
		err := step()
		select {
		case <-killed:
			n.stop()
			n.start()
			n.empty()
			return
		default:
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("no call of the kind %s", k)
	n.empty()
}

// empty removes every pod, and waits until nothing is left of any.
func (n *node) empty() {
	n.t.Helper()
	for _, pod := range strings.Fields(n.crictl("pods", "-q")) {
		n.crictl("stopp", pod)
		n.crictl("rmp", pod)
	}
	if out := n.crictl("ps", "-a", "-q"); out != "" {
		n.t.Errorf("containers without their pods: %s", out)
	}
	var left []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if left = n.s.Left(); len(left) == 0 {
			return
		}
	}
	n.t.Fatalf("left behind: %q", left)
}
