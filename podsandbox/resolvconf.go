package podsandbox

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/network"
)

// resolver returns the pod's resolver configuration: its own, or the host's.
func (m *Manager) resolver(cfg *SandboxConfig) (*guestapi.DNS, error) {
	dns := cfg.DNS
	if dns == nil {
		host, err := readResolvConf(m.cfg.ResolvConf)
		if err != nil {
			return nil, err
		}
		dns = &host
	}
	return &guestapi.DNS{Servers: dns.Servers, Searches: dns.Searches, Options: dns.Options}, nil
}

// readResolvConf reads a resolv.conf; a host without one has no resolver.
func readResolvConf(path string) (network.DNS, error) {
	var dns network.DNS
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return dns, nil
	}
	if err != nil {
		return dns, fmt.Errorf("host's resolver: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			dns.Servers = append(dns.Servers, fields[1])
		case "search", "domain":
			dns.Searches = fields[1:]
		case "options":
			dns.Options = append(dns.Options, fields[1:]...)
		}
	}
	return dns, lines.Err()
}
