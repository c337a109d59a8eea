package leakcheck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// interfaces lists the pods' ends in the host: ports of the network's bridge,
// and links of pods on the node's network.
func interfaces(s Scope) ([]string, error) {
	ports, err := filepath.Glob("/sys/class/net/" + s.Network.Bridge + "/brif/*")
	if err != nil {
		return nil, err
	}
	links, err := filepath.Glob("/sys/class/net/pdk????????????")
	if err != nil {
		return nil, err
	}
	ports = append(ports, links...)
	for i := range ports {
		ports[i] = filepath.Base(ports[i])
	}
	return ports, nil
}

// rules lists packet filter rules, of both kinds and families, that name the
// network or one of its addresses, and tables for pods on the node's network.
func rules(s Scope) ([]string, error) {
	var found []string
	tables, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		return nil, fmt.Errorf("nft list tables: %w", err)
	}
	for _, line := range strings.Split(string(tables), "\n") {
		if strings.Contains(line, "paddock-") {
			found = append(found, line)
		}
	}
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
