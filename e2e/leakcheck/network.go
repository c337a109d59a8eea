package leakcheck

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

func interfaces(Scope) ([]string, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	return names, nil
}

// namespaces lists named ones where tools of the trade keep them.
func namespaces(Scope) ([]string, error) {
	names, err := filepath.Glob("/run/netns/*")
	if err != nil {
		return nil, err
	}
	return names, nil
}

// rules lists packet filter rules of both kinds and families. Chains that
// CNI's portmap makes once for the whole machine, and keeps, do not count.
func rules(Scope) ([]string, error) {
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
			if isPodRule(line) {
				found = append(found, tool+": "+line)
			}
		}
	}
	return found, nil
}

func isPodRule(line string) bool {
	switch {
	case strings.Contains(line, "CNI-HOSTPORT-"):
		return strings.Contains(line, "id:")
	case strings.HasPrefix(line, "-A "), strings.HasPrefix(line, ":CNI-"):
		return true
	}
	return false
}

// leases lists addresses that host-local has given out.
func leases(s Scope) ([]string, error) {
	var found []string
	err := filepath.WalkDir(s.LeaseDir, func(path string, d fs.DirEntry, err error) error {
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
