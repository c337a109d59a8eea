package tap

import "net/netip"

// Config says where CNI's parts are.
type Config struct {
	// ConfDir holds CNI configurations; the first by name is used, read anew for each sandbox.
	ConfDir string
	// BinDirs hold the plugins.
	BinDirs []string
	// StateDir is ours: records, CNI's result cache, and namespaces, in folders below it.
	StateDir string
	// HostRange4 and HostRange6 are where the private links of sandboxes in host
	// mode come from, a /30 and a /126 each. Zero: no host mode.
	HostRange4, HostRange6 netip.Prefix
}

// DefaultConflist is a simple pod network: a bridge, addresses of both families from
// fixed ranges, and host ports.
func DefaultConflist() []byte {
	return []byte(`{
  "cniVersion": "1.0.0",
  "name": "paddock",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "paddock0",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [
          [{"subnet": "10.88.0.0/16"}],
          [{"subnet": "fd00:88::/64"}]
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
      }
    },
    {
      "type": "portmap",
      "capabilities": {"portMappings": true}
    }
  ]
}
`)
}
