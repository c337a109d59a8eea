package tap

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/networktest"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

const (
	vnetHeader = 10 // struct virtio_net_hdr in front of each frame
	etherSize  = 14
)

// responder is a guest of few words on a tap: it answers ARP, neighbour
// solicitations and echo requests, and reports UDP destination ports.
type responder struct {
	mac net.HardwareAddr
	udp chan uint16
}

func (r *responder) serve(tap vm.TapEndpoint) {
	buf := make([]byte, 65536)
	for {
		n, err := tap.File.Read(buf)
		if err != nil {
			return
		}
		if n < vnetHeader+etherSize {
			continue
		}
		if answer(buf[vnetHeader:n], r) {
			clear(buf[:vnetHeader])
			_, _ = tap.File.Write(buf[:n])
		}
	}
}

// answer turns a frame into its answer in place, if it has one.
func answer(f []byte, r *responder) bool {
	p := f[etherSize:]
	switch binary.BigEndian.Uint16(f[12:]) {
	case 0x0806: // ARP request
		if len(p) < 28 || p[7] != 1 {
			return false
		}
		target := append([]byte(nil), p[24:28]...)
		p[7] = 2
		copy(p[18:28], p[8:18])
		copy(p[8:14], r.mac)
		copy(p[14:18], target)
	case 0x0800:
		if p[9] == 17 {
			r.udp <- binary.BigEndian.Uint16(p[22:])
			return false
		}
		if p[9] != 1 || p[20] != 8 {
			return false
		}
		swap(p[12:16], p[16:20])
		p[20] = 0
		setSum(p[20:binary.BigEndian.Uint16(p[2:])], 2, nil)
	case 0x86dd:
		return answer6(f, p, r)
	default:
		return false
	}
	copy(f[0:6], f[6:12])
	copy(f[6:12], r.mac)
	return true
}

func answer6(f, p []byte, r *responder) bool {
	if p[6] != 58 {
		return false
	}
	icmp := p[40 : 40+binary.BigEndian.Uint16(p[4:])]
	switch icmp[0] {
	case 135: // neighbour solicitation: the option for a link address has the same size both ways
		if len(icmp) < 32 {
			return false
		}
		icmp[0], icmp[4] = 136, 0x60
		icmp[24] = 2
		copy(icmp[26:32], r.mac)
		copy(p[24:40], p[8:24])
		copy(p[8:24], icmp[8:24])
	case 128:
		icmp[0] = 129
		swap(p[8:24], p[24:40])
	default:
		return false
	}
	pseudo := append(append([]byte(nil), p[8:40]...), 0, 0, p[4], p[5], 0, 0, 0, 58)
	setSum(icmp, 2, pseudo)
	copy(f[0:6], f[6:12])
	copy(f[6:12], r.mac)
	return true
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

// setSum writes the Internet checksum of b (and a pseudo header) at b[at:].
func setSum(b []byte, at int, pseudo []byte) {
	b[at], b[at+1] = 0, 0
	var sum uint32
	for _, part := range [][]byte{pseudo, b} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
		if len(part)%2 == 1 {
			sum += uint32(part[len(part)-1]) << 8
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[at:], ^uint16(sum))
}

// Packets pass between the node and what sits on the tap, in both families, and
// through a host port.
func TestPackets(t *testing.T) {
	h := newTestHost(t, 4)
	n := h.open(t)
	req := networktest.Request("packets")
	req.PortMappings = []network.PortMapping{{Protocol: network.UDP, HostPort: 31998, ContainerPort: 4321}}
	a, err := n.Setup(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer teardownTest(t, n, "packets")
	tap := a.Interfaces[0].Endpoint.(vm.TapEndpoint)
	defer tap.File.Close()
	guest := &responder{mac: a.Interfaces[0].MAC, udp: make(chan uint16, 64)}
	go guest.serve(tap)

	var v4, v6 netip.Addr
	for _, ip := range a.IPs() {
		if ip.Is4() {
			v4 = ip
		} else {
			v6 = ip
		}
	}
	for _, ip := range []netip.Addr{v4, v6} {
		if out, err := exec.Command("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", ip.String()).CombinedOutput(); err != nil {
			t.Errorf("ping %s: %v\n%s", ip, err, out)
		}
	}
	conn, err := net.Dial("udp", fmt.Sprintf("%s1:31998", h.v4))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline := time.After(5 * time.Second)
	for {
		if _, err := conn.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		select {
		case port := <-guest.udp:
			if port == 4321 {
				return
			}
		case <-time.After(200 * time.Millisecond):
		case <-deadline:
			t.Fatal("no datagram came through the host port")
		}
	}
}

func teardownTest(t *testing.T, n *Network, id string) {
	t.Helper()
	if err := n.Teardown(t.Context(), id); err != nil {
		t.Error(err)
	}
}
