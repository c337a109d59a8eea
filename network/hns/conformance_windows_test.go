//go:build wine

package hns_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/hns"
	"github.com/paddock-run/paddock/network/networktest"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/standin"
)

// testConfig is of the CNI project's own plugins, on the stand-in's network "pods" (10.93.0.0/24).
func testConfig(t *testing.T) hns.Config {
	t.Helper()
	if !standin.Available() {
		t.Skip("PADDOCK_STANDIN names no stand-in of the Host Compute Network")
	}
	dir := t.TempDir()
	ipam, err := json.Marshal(filepath.Join(dir, "ipam"))
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "win-bridge", "apiVersion": 2,
		"ipam": {"type": "host-local", "dataDir": %s, "ranges": [[{"subnet": "10.93.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}`, ipam)
	if err := os.WriteFile(filepath.Join(dir, "10-pods.conflist"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return hns.Config{ConfDir: dir, BinDirs: []string{os.Getenv("PADDOCK_CNI_DIR")}, StateDir: filepath.Join(dir, "state")}
}

func open(t *testing.T, cfg hns.Config) network.Network {
	t.Helper()
	n, err := hns.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func left(t *testing.T) []string {
	t.Helper()
	all, err := standin.Left()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestConformance(t *testing.T) {
	cfg := testConfig(t)
	networktest.Run(t, networktest.Env{
		NoHostMode: true,
		Open:       func(t *testing.T) network.Network { return open(t, cfg) },
		Snapshot:   left,
	})
}
