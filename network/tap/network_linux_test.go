package tap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/cni"
	"github.com/paddock-run/paddock/network/networktest"
)

// testHost is a CNI network of the test's own: bridge, ranges and folders.
type testHost struct {
	cfg    Config
	bridge string
	v4, v6 string // /24 and /64 prefixes without the last part
	opened *Network
}

var pluginDirs = []string{"/usr/lib/cni", "/opt/cni/bin"}

func newTestHost(t *testing.T, n int) *testHost {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	dir := t.TempDir()
	h := &testHost{
		cfg: Config{
			ConfDir: filepath.Join(dir, "conf"), BinDirs: pluginDirs, StateDir: filepath.Join(dir, "state"),
			HostRange4: netip.MustParsePrefix(fmt.Sprintf("169.254.%d.0/24", 100+n)),
			HostRange6: netip.MustParsePrefix(fmt.Sprintf("fd00:232:%d::/112", n)),
		},
		bridge: fmt.Sprintf("pdktest%d", n),
		v4:     fmt.Sprintf("10.231.%d.", n),
		v6:     fmt.Sprintf("fd00:231:%d::", n),
	}
	if err := os.MkdirAll(h.cfg.ConfDir, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"%[1]s","plugins":[
	 {"type":"bridge","bridge":"%[1]s","isGateway":true,"ipMasq":true,"hairpinMode":true,
	  "ipam":{"type":"host-local","dataDir":%[2]q,"ranges":[[{"subnet":"%[3]s0/24"}],[{"subnet":"%[4]s/64"}]],
	          "routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]},
	  "dns":{"nameservers":["192.0.2.53"],"search":["test.example"]}},
	 {"type":"portmap","capabilities":{"portMappings":true},"snat":true}]}`, h.bridge, filepath.Join(dir, "ipam"), h.v4, h.v6)
	if err := os.WriteFile(filepath.Join(h.cfg.ConfDir, "10-test.conflist"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.removeShared(t) })
	return h
}

// removeShared removes what plugins make once for all pods: the bridge, portmap's chains.
func (h *testHost) removeShared(t *testing.T) {
	_ = exec.Command("ip", "link", "del", h.bridge).Run()
	for _, ipt := range []string{"iptables", "ip6tables"} {
		rules, err := exec.Command(ipt, "-w", "-t", "nat", "-S", "CNI-HOSTPORT-DNAT").Output()
		if err != nil || strings.Contains(string(rules), "-A ") {
			continue // not there, or in use by others on this machine
		}
		for _, hook := range []string{"PREROUTING", "OUTPUT"} {
			_ = exec.Command(ipt, "-w", "-t", "nat", "-D", hook, "-m", "addrtype", "--dst-type", "LOCAL", "-j", "CNI-HOSTPORT-DNAT").Run()
		}
		_ = exec.Command(ipt, "-w", "-t", "nat", "-D", "POSTROUTING", "-m", "comment", "--comment", "CNI portfwd requiring masquerade", "-j", "CNI-HOSTPORT-MASQ").Run()
		for _, chain := range []string{"CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"} {
			_ = exec.Command(ipt, "-w", "-t", "nat", "-F", chain).Run()
			_ = exec.Command(ipt, "-w", "-t", "nat", "-X", chain).Run()
		}
	}
	entries, _ := filepath.Glob(filepath.Join(h.cfg.StateDir, "netns", "*"))
	for _, e := range entries {
		t.Errorf("namespace left: %s", e)
		_ = removeNetNS(e)
	}
}

// open makes the Network of a new process; the one before has ended.
func (h *testHost) open(t *testing.T) *Network {
	t.Helper()
	if h.opened != nil {
		h.opened.Close()
	}
	n, err := New(t.Context(), h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.opened = n
	return n
}

// snapshot lists links, per-pod rules, mounts and files of this network.
func (h *testHost) snapshot(t *testing.T) []string {
	t.Helper()
	var lines []string
	add := func(kind string, out []byte, keep func(string) bool) {
		for _, l := range strings.Split(string(out), "\n") {
			if l = strings.TrimSpace(l); l != "" && keep(l) {
				lines = append(lines, kind+": "+l)
			}
		}
	}
	links, err := exec.Command("ip", "-br", "link", "show", "master", h.bridge).Output()
	if err == nil { // no bridge yet: nothing in it
		add("link", links, func(string) bool { return true })
	}
	for _, save := range []string{"iptables-save", "ip6tables-save"} {
		rules, err := exec.Command(save, "-t", "nat").Output()
		if err != nil {
			t.Fatalf("%s: %v", save, err)
		}
		add(save, rules, func(l string) bool { return strings.Contains(l, h.v4) || strings.Contains(l, h.v6) })
	}
	all, err := filepath.Glob("/sys/class/net/pdk????????????")
	if err != nil {
		t.Fatal(err)
	}
	add("link", []byte(strings.Join(all, "\n")), func(string) bool { return true })
	tables, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		t.Fatalf("nft list tables: %v", err)
	}
	add("nft", tables, func(l string) bool { return strings.Contains(l, h.cfg.hostTable()) })
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	add("mount", mounts, func(l string) bool { return strings.Contains(l, h.cfg.StateDir) })
	_ = filepath.WalkDir(filepath.Dir(h.cfg.StateDir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, "/lock") && !strings.Contains(path, "last_reserved_ip") {
			lines = append(lines, "file: "+path)
		}
		return nil
	})
	return lines
}

func TestConformance(t *testing.T) {
	h := newTestHost(t, 1)
	networktest.Run(t, networktest.Env{
		Open:     func(t *testing.T) network.Network { return h.open(t) },
		Snapshot: h.snapshot,
	})
}

// A process that dies between any two steps leaves what the next one tears down.
func TestTeardownOfHalfMade(t *testing.T) {
	h := newTestHost(t, 2)
	n := h.open(t)
	list, err := cni.LoadConf(h.cfg.ConfDir)
	if err != nil {
		t.Fatal(err)
	}
	req := networktest.Request("half")
	req.PortMappings = []network.PortMapping{{HostPort: 31999, ContainerPort: 80}}
	netns := h.cfg.netnsPath("half")
	steps := []func() error{
		func() error { return h.cfg.save(&record{Request: req, Conf: list.Bytes}) },
		func() error { return makeNetNS(netns) },
		func() error {
			_, err := n.cni.AddNetworkList(t.Context(), list, cni.RuntimeConf(req, netns))
			return err
		},
	}
	for died := 1; died <= len(steps); died++ {
		before := h.snapshot(t)
		for _, step := range steps[:died] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if ids, _ := h.open(t).List(t.Context()); len(ids) != 1 {
			t.Errorf("died after step %d: List = %v", died, ids)
		}
		if err := h.open(t).Teardown(context.Background(), "half"); err != nil {
			t.Errorf("died after step %d: %v", died, err)
		}
		for _, line := range h.snapshot(t) {
			if !contains(before, line) {
				t.Errorf("died after step %d: left behind: %s", died, line)
			}
		}
	}
}

func contains(lines []string, line string) bool {
	for _, l := range lines {
		if l == line {
			return true
		}
	}
	return false
}

// A caller that gives up does not have plugins killed in the middle of DEL.
func TestTeardownOutlivesItsCaller(t *testing.T) {
	h := newTestHost(t, 11)
	n := h.open(t)
	before := h.snapshot(t)
	if _, err := n.Setup(t.Context(), networktest.Request("left")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Teardown(ctx, "left"); err != nil {
		t.Error(err)
	}
	for _, line := range h.snapshot(t) {
		if !contains(before, line) {
			t.Errorf("left behind: %s", line)
		}
	}
}

// A failed ADD undoes itself and says which plugin of which network failed.
func TestFailedAddLeavesNothing(t *testing.T) {
	h := newTestHost(t, 3)
	n := h.open(t)
	if err := n.Status(); err != nil {
		t.Fatal(err)
	}
	conf := `{"cniVersion":"1.0.0","name":"broken","plugins":[{"type":"bridge","bridge":"` + h.bridge + `","ipam":{"type":"no-such-ipam"}}]}`
	if err := os.WriteFile(filepath.Join(h.cfg.ConfDir, "00-broken.conflist"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	before := h.snapshot(t)
	_, err := n.Setup(t.Context(), networktest.Request("broken"))
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("error %v does not name the network", err)
	}
	for _, line := range h.snapshot(t) {
		if !contains(before, line) {
			t.Errorf("left behind: %s", line)
		}
	}
}

func TestNotReadyNamesTheFix(t *testing.T) {
	dir := t.TempDir()
	n, err := New(t.Context(), Config{ConfDir: dir, BinDirs: []string{dir}, StateDir: filepath.Join(dir, "s")})
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		if err := n.Status(); !errors.Is(err, network.ErrNotReady) || !strings.Contains(err.Error(), want) {
			t.Errorf("Status = %v, want it to say %q", err, want)
		}
	}
	check("no CNI configuration")
	if err := os.WriteFile(filepath.Join(dir, "1.conflist"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("1.conflist")
	if err := os.WriteFile(filepath.Join(dir, "0.conflist"), DefaultConflist(), 0o600); err != nil {
		t.Fatal(err)
	}
	check("needs the CNI plugin \"bridge\"")
}

func TestDefaultConflistIsValid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "d.conflist"), DefaultConflist(), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := cni.LoadConf(dir); err != nil || list.Name != "paddock" {
		t.Errorf("%+v, %v", list, err)
	}
}
