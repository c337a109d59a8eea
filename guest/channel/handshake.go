package channel

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// muxVersion is the version of the multiplexer's frames. Hello and ack keep
// their form for ever, so that a mismatch can be told.
const muxVersion uint32 = 1

// Magics of the handshake: random, and free of zeros so that padding never begins one.
var (
	helloMagic = [16]byte{0xd3, 0x1f, 0x9a, 0x47, 0x6e, 0xb2, 0x05, 0xc8, 0x71, 0x3b, 0xe4, 0x92, 0x5d, 0xaf, 0x18, 0x86}
	ackMagic   = [16]byte{0x8c, 0x62, 0xf1, 0x3d, 0xa5, 0x19, 0xd7, 0x4e, 0xb0, 0x27, 0x9b, 0x54, 0xe8, 0x03, 0x7a, 0xcd}
)

// nonce is a session's random name.
type nonce [16]byte

func newNonce() nonce {
	var n nonce
	rand.Read(n[:]) // never fails
	return n
}

// greeting is a HELLO or an ACK: magic, version, nonce, and a check of the latter two.
const greetingLen = 16 + 4 + 16 + 8

func greetingCheck(version uint32, n nonce) uint64 {
	c := newCodec(n, direction(uint64(version)*0x2545f4914f6cdd1d+1))
	return c.trailer()
}

func appendGreeting(b []byte, magic [16]byte, version uint32, n nonce) []byte {
	b = append(b, magic[:]...)
	b = binary.BigEndian.AppendUint32(b, version)
	b = append(b, n[:]...)
	return binary.BigEndian.AppendUint64(b, greetingCheck(version, n))
}

// hunt drops bytes until it has consumed a whole greeting with the magic.
func hunt(r *bufio.Reader, magic [16]byte) (version uint32, n nonce, err error) {
	for {
		b, err := r.Peek(greetingLen)
		if err != nil {
			return 0, n, err
		}
		// See all that is buffered, to drop long runs at once.
		if b, err = r.Peek(max(r.Buffered(), greetingLen)); err != nil {
			return 0, n, err
		}
		i := bytes.Index(b, magic[:])
		if i < 0 {
			i = len(b) - len(magic) + 1
		}
		if i > 0 {
			if _, err := r.Discard(i); err != nil {
				return 0, n, err
			}
			continue
		}
		version = binary.BigEndian.Uint32(b[16:])
		copy(n[:], b[20:36])
		if binary.BigEndian.Uint64(b[36:]) == greetingCheck(version, n) {
			_, err := r.Discard(greetingLen)
			return version, n, err
		}
		if _, err := r.Discard(1); err != nil {
			return 0, n, err
		}
	}
}

// huntAck drops bytes until the ACK to n.
func huntAck(r *bufio.Reader, n nonce) error {
	for {
		version, got, err := hunt(r, ackMagic)
		if err != nil {
			return err
		}
		if got != n {
			continue
		}
		if version != muxVersion {
			return fmt.Errorf("%w: the host speaks %d, the guest's agent %d; the guest image is of another release: rebuild it, or start the pod anew", ErrVersion, muxVersion, version)
		}
		return nil
	}
}

// errHostAway is what a port's Read returns when no host is connected to its
// other end; the next Read waits for one.
var errHostAway = errors.New("no host is connected to the channel")
