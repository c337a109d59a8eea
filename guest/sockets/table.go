package sockets

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Listener is a TCP socket that listens, or a UDP socket that is bound and not connected.
type Listener struct {
	UDP  bool
	Addr netip.AddrPort
}

// States of sockets in /proc/net (include/net/tcp_states.h).
const (
	stateClose  = "07" // a UDP socket without a peer
	stateListen = "0A"
)

// parse reads a table of /proc/net, of at most limit listeners.
func parse(r io.Reader, udp bool, limit int) ([]Listener, error) {
	wanted := stateListen
	if udp {
		wanted = stateClose
	}
	var found []Listener
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() && len(found) < limit {
		// sl local_address rem_address st ...
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 {
			return found, fmt.Errorf("line %q is not a socket's", lines.Text())
		}
		if fields[3] != wanted {
			if !udp {
				break // TCP's table has listening sockets first; the rest may be long
			}
			continue
		}
		addr, err := parseAddr(fields[1])
		if err != nil {
			return found, err
		}
		found = append(found, Listener{UDP: udp, Addr: addr})
	}
	return found, lines.Err()
}

// parseAddr reads "0100007F:1F90": the address as words of the machine's byte order, and the port.
func parseAddr(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%q is not a socket's address", text)
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q has no port: %w", text, err)
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
