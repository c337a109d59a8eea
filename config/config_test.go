package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultsLoad(t *testing.T) {
	c, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.VM.Memory.Value(); got != 256<<20 {
		t.Errorf("vm.memory = %d", got)
	}
	if _, err := c.Endpoint(); err != nil {
		t.Error(err)
	}
}

func TestFileOverridesOnlyWhatItNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("vm:\n  memory: 1Gi\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.VM.Memory.Value() != 1<<30 || c.Registry.MaxConcurrentDownloads != 3 {
		t.Errorf("memory %s, downloads %d", c.VM.Memory.String(), c.Registry.MaxConcurrentDownloads)
	}
}

func TestErrorsNameTheKey(t *testing.T) {
	for _, tc := range []struct{ yaml, want string }{
		{"rooot: /x", "rooot"},
		{"root: x", "root"},
		{"socket: tcp://x", "socket"},
		{"defaultHandler: runc", "defaultHandler"},
		{"vm: {memory: 1Mi}", "vm.memory"},
		{"vm: {pool: {min: 3, max: 2}}", "vm.pool"},
		{"vm: {pool: {min: -1}}", "vm.pool"},
		{"vm: {pool: {memory: 0}}", "vm.pool.memory"},
		{"vm: {memory: lots}", "quantities"},
		{"vm: {overhead: -1}", "vm.overhead"},
		{"registry: {maxConcurrentDownloads: 0}", "registry.maxConcurrentDownloads"},
		{"streaming: {address: here}", "streaming.address"},
		{"cni: {binDirs: []}", "cni.binDirs"},
		{"hostNetwork: {mode: share}", "hostNetwork.mode"},
		{"hostNetwork: {ipv4: fd00::/64}", "hostNetwork.ipv4"},
		{"hostNetwork: {ipv4: 10.0.0.0/31}", "hostNetwork.ipv4"},
		{"hostNetwork: {ipv6: 'fd00::1/64'}", "hostNetwork.ipv6"},
		{"hostNetwork: {ipv6: wide}", "wide"},
		{"images: {maxLayerSize: 0}", "images.maxLayerSize"},
		{"images: {pinned: [Not/A/Reference]}", "images.pinned"},
		{"cdi: {specDirs: [etc/cdi]}", "cdi.specDirs"},
		{"volumes: {direct: [volumes]}", "volumes.direct"},
		{"cdi: {enabled: true, specDirs: []}", "cdi.enabled"},
		{"nri: {socket: here}", "nri.socket"},
		{"nri: {pluginDir: \"\"}", "nri.pluginDir"},
		{"nri: {requestTimeout: 0s}", "nri.requestTimeout"},
		{"nri: {validator: {requiredPlugin: [x]}}", "requiredPlugin"},
	} {
		_, err := parse([]byte(tc.yaml))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v does not name %q", tc.yaml, err, tc.want)
		}
	}
}

func TestCDIDirs(t *testing.T) {
	dir := strings.TrimSuffix(t.TempDir(), string(filepath.Separator))
	for yaml, want := range map[string]int{
		"cdi: {enabled: false}": 0, "cdi: {enabled: false, specDirs: []}": 0, "cdi: {enabled: true, specDirs: ['" + dir + "', '" + dir + "']}": 2,
	} {
		if c, err := parse([]byte(yaml)); err != nil || len(c.CDI.Dirs()) != want {
			t.Errorf("%q: %v, %v; want %d folders", yaml, c, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Default)
	f.Add([]byte("vm: {memory: 1}"))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = parse(data) })
}
