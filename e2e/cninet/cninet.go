// Package cninet makes a pod network of a test's own: a bridge and subnets that
// nothing else on the machine uses, and leases in a folder of its own.
package cninet

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// PluginDir is where Debian's containernetworking-plugins puts them.
const PluginDir = "/usr/lib/cni"

// Network is a CNI network.
type Network struct {
	// Bridge is the name of the host's bridge.
	Bridge string
	// ConfDir holds the network's configuration, and nothing else.
	ConfDir string
	// LeaseDir holds host-local's leases.
	LeaseDir string
	// Subnet4 and Subnet6 are the pods'.
	Subnet4, Subnet6 netip.Prefix
}

// New writes a network's configuration below dir. prefix starts the bridge's
// name; at most 8 characters.
func New(dir, prefix string) (*Network, error) {
	octet, err := freeOctet()
	if err != nil {
		return nil, err
	}
	n := &Network{
		Bridge:   fmt.Sprintf("%s%d", prefix, octet),
		ConfDir:  filepath.Join(dir, "cni"),
		LeaseDir: filepath.Join(dir, "leases"),
		Subnet4:  netip.MustParsePrefix(fmt.Sprintf("10.213.%d.0/24", octet)),
		Subnet6:  netip.MustParsePrefix(fmt.Sprintf("fd00:213:%d::/64", octet)),
	}
	for _, d := range []string{n.ConfDir, n.LeaseDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	conf, err := json.MarshalIndent(n.conf(), "", "  ")
	if err != nil {
		return nil, err
	}
	return n, os.WriteFile(filepath.Join(n.ConfDir, "10-test.conflist"), conf, 0o644)
}

func (n *Network) conf() map[string]any {
	return map[string]any{
		"cniVersion": "1.0.0",
		"name":       n.Bridge,
		"plugins": []map[string]any{
			{
				"type": "bridge", "bridge": n.Bridge, "isGateway": true, "ipMasq": true, "hairpinMode": true,
				"ipam": map[string]any{
					"type":    "host-local",
					"dataDir": n.LeaseDir,
					"ranges":  [][]map[string]string{{{"subnet": n.Subnet4.String()}}, {{"subnet": n.Subnet6.String()}}},
					"routes":  []map[string]string{{"dst": "0.0.0.0/0"}, {"dst": "::/0"}},
				},
			},
			{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}
}

// Remove deletes the bridge, which the CNI plugin leaves when the last pod has gone.
func (n *Network) Remove() error {
	if _, err := net.InterfaceByName(n.Bridge); err != nil {
		return nil
	}
	if out, err := exec.Command("ip", "link", "delete", n.Bridge).CombinedOutput(); err != nil {
		return fmt.Errorf("delete bridge %s: %w: %s", n.Bridge, err, out)
	}
	return nil
}

// given are the octets of this process's networks: a network has no bridge, by
// which others would see it, until its first pod.
var (
	givenLock sync.Mutex
	given     = map[byte]bool{}
)

// freeOctet finds a third octet of 10.213.0.0/16 that no interface has and no
// other network of this process.
func freeOctet() (int, error) {
	givenLock.Lock()
	defer givenLock.Unlock()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return 0, err
	}
	used := map[byte]bool{}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			if b := p.Addr().As4(); b[0] == 10 && b[1] == 213 {
				used[b[2]] = true
			}
		}
	}
	start := os.Getpid() % 250
	for i := range 250 {
		if o := 1 + (start+i)%250; !used[byte(o)] && !given[byte(o)] {
			given[byte(o)] = true
			return o, nil
		}
	}
	return 0, errors.New("every subnet of 10.213.0.0/16 is in use")
}
