package tap

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/networktest"
)

// setupEnv tells the test binary to set a sandbox up, by the Config it holds, instead of running tests.
const setupEnv = "PADDOCK_TEST_TAP_SETUP"

func TestMain(m *testing.M) {
	if text := os.Getenv(setupEnv); text != "" {
		var cfg Config
		if err := json.Unmarshal([]byte(text), &cfg); err != nil {
			panic(err)
		}
		n, err := New(context.Background(), cfg)
		if err != nil {
			panic(err)
		}
		if _, err := n.Setup(context.Background(), crashRequest()); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func crashRequest() network.Request {
	req := networktest.Request("crash")
	req.PortMappings = []network.PortMapping{{HostPort: 31997, ContainerPort: 80}}
	return req
}

// A daemon killed at any moment of a set-up leaves nothing that the next one's Teardown does not remove.
func TestKilledDuringSetup(t *testing.T) {
	h := newTestHost(t, 5)
	cfg, err := json.Marshal(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	// Make once what plugins make for all pods.
	if _, err := h.open(t).Setup(t.Context(), networktest.Request("first")); err != nil {
		t.Fatal(err)
	}
	teardownTest(t, h.open(t), "first")
	before := h.snapshot(t)
	for wait := 10 * time.Millisecond; wait < 400*time.Millisecond; wait += 25 * time.Millisecond {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), setupEnv+"="+string(cfg))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(wait) // the moment to kill at is what varies, no result waits for it
		cmd.Process.Kill()
		finished := cmd.Wait() == nil
		if err := h.open(t).Teardown(t.Context(), "crash"); err != nil {
			t.Errorf("killed after %v: %v", wait, err)
		}
		for _, line := range h.snapshot(t) {
			if !contains(before, line) {
				t.Errorf("killed after %v: left behind: %s", wait, line)
			}
		}
		if finished {
			return // later moments are all alike
		}
	}
}

// Nothing stays either when the namespace has gone before the tear-down, or the record is damaged.
func TestTeardownOfDamaged(t *testing.T) {
	for i, tt := range []struct {
		name   string
		damage func(h *testHost, a *network.Attachment) error
	}{
		{"namespace gone", func(_ *testHost, a *network.Attachment) error {
			return unix.Unmount(a.NetNS, unix.MNT_DETACH)
		}},
		{"record empty", func(h *testHost, _ *network.Attachment) error {
			return os.Truncate(h.cfg.recordPath("crash"), 0)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testDamaged(t, newTestHost(t, 6+i), tt.damage)
		})
	}
}

func testDamaged(t *testing.T, h *testHost, damage func(*testHost, *network.Attachment) error) {
	n := h.open(t)
	if _, err := n.Setup(t.Context(), networktest.Request("first")); err != nil {
		t.Fatal(err)
	}
	teardownTest(t, n, "first")
	before := h.snapshot(t)
	a, err := n.Setup(t.Context(), crashRequest())
	if err != nil {
		t.Fatal(err)
	}
	networktest.CloseEndpoints(a)
	if err := damage(h, a); err != nil {
		t.Fatal(err)
	}
	teardownTest(t, h.open(t), "crash")
	for _, line := range h.snapshot(t) {
		if !contains(before, line) {
			t.Errorf("left behind: %s", line)
		}
	}
}
