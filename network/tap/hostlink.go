package tap

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"

	"github.com/paddock-run/paddock/network"
)

// Sizes of one link: of four addresses the second is the node's, the third the guest's.
const (
	linkBits4 = 30
	linkBits6 = 126
)

// hostRecord is what a record keeps of a sandbox in host mode.
type hostRecord struct {
	Link hostLink
	// Ports are what the node leads to the sandbox.
	Ports []network.HostPort
}

// hostLink is the private link between the node and a sandbox in host mode.
type hostLink struct {
	// Index is its place in both ranges.
	Index int
	// Name is the interface's on the node.
	Name          string
	Node4, Guest4 netip.Prefix
	Node6, Guest6 netip.Prefix
}

// hostLinkName names a sandbox's interface on the node. It follows from the id
// alone, so that it can be removed without a record.
func hostLinkName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "pdk" + hex.EncodeToString(sum[:6]) // an interface's name has at most 15 bytes
}

// hostLinks is how many links the ranges have room for.
func (c *Config) hostLinks() int {
	free := min(linkBits4-c.HostRange4.Bits(), linkBits6-c.HostRange6.Bits())
	return 1 << min(free, 16)
}

// hostLink is link number index of a sandbox.
func (c *Config) hostLink(id string, index int) hostLink {
	l := hostLink{Index: index, Name: hostLinkName(id)}
	a4 := c.HostRange4.Addr().As4()
	base := binary.BigEndian.Uint32(a4[:]) + uint32(index)<<2
	at4 := func(host uint32) netip.Prefix {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], base+host)
		return netip.PrefixFrom(netip.AddrFrom4(a), linkBits4)
	}
	a6 := c.HostRange6.Addr().As16()
	low := binary.BigEndian.Uint64(a6[8:]) + uint64(index)<<2
	at6 := func(host uint64) netip.Prefix {
		a := a6
		binary.BigEndian.PutUint64(a[8:], low+host)
		return netip.PrefixFrom(netip.AddrFrom16(a), linkBits6)
	}
	l.Node4, l.Guest4, l.Node6, l.Guest6 = at4(1), at4(2), at6(1), at6(2)
	return l
}
