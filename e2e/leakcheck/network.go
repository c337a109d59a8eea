package leakcheck

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// interfaces lists the ports of the network's bridge: the pods' ends in the host.
func interfaces(s Scope) ([]string, error) {
	ports, err := filepath.Glob("/sys/class/net/" + s.Network.Bridge + "/brif/*")
	if err != nil {
		return nil, err
	}
	for i := range ports {
		ports[i] = filepath.Base(ports[i])
	}
	return ports, nil
}

// rules lists packet filter rules, of both kinds and families, that name the
// network or one of its addresses.
func rules(s Scope) ([]string, error) {
	var found []string
	for _, tool := range []string{"iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			continue // not on this machine
		}
		out, err := exec.Command(path).Output()
		if err != nil {
			continue // the kernel lacks this kind
		}
		for _, line := range strings.Split(string(out), "\n") {
			if s.isPodRule(line) {
				found = append(found, tool+": "+line)
			}
		}
	}
	return found, nil
}

func (s Scope) isPodRule(line string) bool {
	v4 := strings.TrimSuffix(s.Network.Subnet4.Addr().String(), "0")
	v6 := s.Network.Subnet6.Addr().String()
	return strings.Contains(line, `"`+s.Network.Bridge+`\"`) || strings.Contains(line, v4) || strings.Contains(line, v6)
}

// leases lists addresses that host-local has given out.
func leases(s Scope) ([]string, error) {
	var found []string
	err := filepath.WalkDir(s.Network.LeaseDir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() && d.Name() != "lock" && !strings.HasPrefix(d.Name(), "last_reserved_ip") {
			found = append(found, d.Name())
		}
		return err
	})
	return found, err
}
