package tap

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/paddock-run/paddock/network"
)

// hostTable is the nftables table of host mode. It is ours alone, so that a
// daemon with other state has another.
func (c *Config) hostTable() string {
	sum := sha256.Sum256([]byte(c.StateDir))
	return "paddock-" + hex.EncodeToString(sum[:4])
}

// hostRules is the table's whole content for these sandboxes, as nft(8) reads
// it: one transaction that replaces what is there. Without sandboxes it removes the table.
//
// Destinations are changed after what other tables do of the kind (kube-proxy's
// services, CNI's host ports, at -100): theirs win. Packets between loopback
// addresses and a link need route_localnet on the link, and for IPv6 the kernel
// has no such means.
func hostRules(cfg *Config, hosts []*hostRecord) string {
	table := cfg.hostTable()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("table inet %s {}", table)
	line("delete table inet %s", table)
	if len(hosts) == 0 {
		return b.String()
	}
	var names, nodes, guests4, guests6 []string
	for _, h := range hosts {
		l := h.Link
		names = append(names, fmt.Sprintf("%q", l.Name))
		nodes = append(nodes, l.Node4.Addr().String())
		guests4 = append(guests4, fmt.Sprintf("%q . %s", l.Name, l.Guest4.Addr()))
		guests6 = append(guests6, fmt.Sprintf("%q . %s", l.Name, l.Guest6.Addr()))
	}
	links := set(names)
	line("table inet %s {", table)
	// A guest speaks with its own addresses only.
	line("\tchain sources { type filter hook prerouting priority -300; policy accept;")
	line("\t\tiifname %s meta nfproto ipv4 iifname . ip saddr != %s drop", links, set(guests4))
	line("\t\tiifname %s meta nfproto ipv6 ip6 saddr != { ::, fe80::/10 } iifname . ip6 saddr != %s drop", links, set(guests6))
	line("\t}")
	line("\tchain arriving { type nat hook prerouting priority -90; policy accept;")
	line("\t\tfib daddr type local jump ports")
	// What the guest sends to its end of the link on the node is for the node's localhost.
	line("\t\tiifname %s ip daddr %s meta l4proto { tcp, udp } dnat ip to 127.0.0.1", links, set(nodes))
	line("\t}")
	line("\tchain local { type nat hook output priority -90; policy accept;")
	line("\t\tfib daddr type local jump ports")
	line("\t}")
	line("\tchain ports {")
	for _, rule := range portRules(hosts) {
		line("\t\t%s", rule)
	}
	line("\t}")
	// To the node's own sockets a guest is the node: source and destination are one address.
	line("\tchain delivered { type nat hook input priority 100; policy accept;")
	line("\t\tiifname %s ip saddr %s snat ip to ip daddr", links, cfg.HostRange4)
	line("\t\tiifname %s ip6 saddr %s snat ip6 to ip6 daddr", links, cfg.HostRange6)
	line("\t}")
	line("\tchain leaving { type nat hook postrouting priority 100; policy accept;")
	line("\t\tip saddr %s masquerade", cfg.HostRange4)
	line("\t\tip6 saddr %s masquerade", cfg.HostRange6)
	line("\t\toifname %s ip saddr 127.0.0.0/8 masquerade", links)
	line("\t}")
	line("}")
	return b.String()
}

// portRules lead the node's ports to the guests, by one map for each kind.
func portRules(hosts []*hostRecord) []string {
	type kind struct {
		six      bool
		protocol network.Protocol
		loopback bool
	}
	maps := map[kind][]string{}
	add := func(k kind, port uint16, to netip.Addr) {
		maps[k] = append(maps[k], fmt.Sprintf("%d : %s", port, to))
	}
	for _, h := range hosts {
		for _, p := range h.Ports {
			add(kind{false, p.Protocol, p.Loopback}, p.Port, h.Link.Guest4.Addr())
			if !p.Loopback {
				add(kind{true, p.Protocol, false}, p.Port, h.Link.Guest6.Addr())
			}
		}
	}
	var rules []string
	for k, entries := range maps {
		family, match := "ip", "meta nfproto ipv4"
		switch {
		case k.six:
			family, match = "ip6", "meta nfproto ipv6"
		case k.loopback:
			match = "ip daddr 127.0.0.0/8"
		}
		rules = append(rules, fmt.Sprintf("%s dnat %s to %s dport map %s", match, family, k.protocol, set(entries)))
	}
	slices.Sort(rules)
	return rules
}

func set(elements []string) string {
	slices.Sort(elements)
	return "{ " + strings.Join(elements, ", ") + " }"
}
