package channel

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Address names a way to a guest's ports that another process can use too.
// Its string form goes through Parse unchanged:
//
//	mux:/run/paddock/vm/<id>/share.sock   a multiplexed channel behind a Unix socket
//	vsock:<cid>                           AF_VSOCK
//	hvsock:<VM GUID>                      AF_HYPERV
type Address string

// Schemes of an Address.
const (
	schemeMux    = "mux"
	schemeVsock  = "vsock"
	schemeHvsock = "hvsock"
)

// maxSocketPath is what fits into a Unix socket's address, less its final NUL.
const maxSocketPath = 107

// MuxAddress is the address of a multiplexed channel behind a Unix socket.
func MuxAddress(socket string) Address { return Address(schemeMux + ":" + socket) }

// VsockAddress is the address of a guest by its AF_VSOCK context id.
func VsockAddress(cid uint32) Address {
	return Address(schemeVsock + ":" + strconv.FormatUint(uint64(cid), 10))
}

// HvsockAddress is the address of a guest by its Hyper-V VM id.
func HvsockAddress(vm string) Address { return Address(schemeHvsock + ":" + vm) }

// Parse checks an address's form and returns it.
func Parse(s string) (Address, error) {
	a := Address(s)
	scheme, rest := a.split()
	switch scheme {
	case schemeMux:
		if !filepath.IsAbs(rest) || strings.ContainsRune(rest, 0) {
			return "", fmt.Errorf("channel address %q: the socket's path must be absolute", s)
		}
		if len(rest) > maxSocketPath {
			return "", fmt.Errorf("channel address %q: the socket's path has %d bytes, more than the %d that a Unix socket's address holds", s, len(rest), maxSocketPath)
		}
	case schemeVsock:
		cid, err := strconv.ParseUint(rest, 10, 32)
		if err != nil || strconv.FormatUint(cid, 10) != rest {
			return "", fmt.Errorf("channel address %q: want vsock:<cid>, a decimal number of 32 bits", s)
		}
		if cid < 3 || cid == 1<<32-1 {
			return "", fmt.Errorf("channel address %q: context id %d is reserved, guests have 3 and up", s, cid)
		}
	case schemeHvsock:
		if id, err := uuid.Parse(rest); err != nil || len(rest) != 36 || id == uuid.Nil {
			return "", fmt.Errorf("channel address %q: want hvsock:<GUID of the VM>", s)
		}
	default:
		return "", fmt.Errorf("channel address %q: unknown scheme, want mux:, vsock: or hvsock:", s)
	}
	return a, nil
}

// split returns the address's scheme and what follows it.
func (a Address) split() (scheme, rest string) {
	scheme, rest, _ = strings.Cut(string(a), ":")
	return scheme, rest
}
