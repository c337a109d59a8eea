package channel

import (
	"bufio"
	"encoding/binary"
	"fmt"
)

// Bounds of the multiplexer.
const (
	// Window is how many bytes a stream's sender may be ahead of its reader, and so the most a stream buffers.
	Window = 1 << 20
	// MaxStreams is how many streams a session has at most.
	MaxStreams = 1024
	// maxFrame is the length of the longest frame; the host begins with as many zeros.
	maxFrame = 64 << 10
	// maxPayload is the longest payload that is accepted.
	maxPayload = maxFrame - headerLen - trailerLen
	// dataChunk is the longest DATA payload that is sent: with its header and
	// trailer just what one write to a virtio-serial port takes, and short
	// enough that control traffic does not wait long behind it.
	dataChunk = 32<<10 - headerLen - trailerLen

	headerLen  = 16
	trailerLen = 8
)

// frameType tells what a frame means. Zero is never valid.
type frameType uint8

const (
	frameOpen       frameType = iota + 1 // host: payload is the port
	frameOpened                          // guest: a listener has it
	frameRefused                         // guest: payload is one refusal code
	frameData                            // payload is bytes of the stream
	frameCredit                          // payload is how many more bytes may be sent
	frameCloseWrite                      // no more data from the sender
	frameClose                           // the same, and the sender will not read either
	frameReset                           // the stream is void
	frameTypeEnd
)

// Refusal codes in frameRefused.
const (
	refusedNoListener uint8 = iota + 1
	refusedBacklog
	refusedTooMany
)

// frame is one decoded frame; payload is valid until the next is read.
type frame struct {
	kind    frameType
	stream  uint32
	payload []byte
}

// direction keys the two directions of a session apart.
type direction uint64

const (
	fromHost  direction = 0x9e3779b97f4a7c15
	fromGuest direction = 0xc2b2ae3d27d4eb4f
)

// codec numbers and seals the frames of one direction of one session.
type codec struct {
	key uint64
	seq uint64
}

func newCodec(n nonce, d direction) codec {
	a, b := binary.BigEndian.Uint64(n[:8]), binary.BigEndian.Uint64(n[8:])
	return codec{key: mix(a^uint64(d)) ^ mix(b+uint64(d))}
}

// mix is splitmix64's finalizer: every bit of the input moves every bit of the
// output. It guards against accidents and stale bytes, not against the peer, who may send what it likes anyway.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// check seals a header.
func (c *codec) check(kind frameType, stream, length uint32) uint32 {
	return uint32(mix(c.key^mix(c.seq)^uint64(stream)<<32^uint64(length)^uint64(kind)<<24) >> 32)
}

// trailer seals a frame. It is never zero, so that no padding completes a frame.
func (c *codec) trailer() uint64 { return mix(c.key+mix(c.seq+1)) | 1 }

// begin appends a header for a payload of length bytes; end appends the trailer.
func (c *codec) begin(b []byte, kind frameType, stream uint32, length int) []byte {
	b = append(b, byte(kind), 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return binary.BigEndian.AppendUint32(b, c.check(kind, stream, uint32(length)))
}

func (c *codec) end(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, c.trailer())
	c.seq++
	return b
}

// appendFrame appends a whole frame.
func (c *codec) appendFrame(b []byte, kind frameType, stream uint32, payload []byte) []byte {
	b = c.begin(b, kind, stream, len(payload))
	b = append(b, payload...)
	return c.end(b)
}

// appendNumber appends a frame whose payload is a number.
func (c *codec) appendNumber(b []byte, kind frameType, stream, n uint32) []byte {
	b = c.begin(b, kind, stream, 4)
	b = binary.BigEndian.AppendUint32(b, n)
	return c.end(b)
}

// read returns the next frame, which is held wholly in r's buffer (of maxFrame
// bytes or more) and consumed only by a later call of advance. On ErrProtocol nothing is
// consumed beyond the header, so that a hunt for a HELLO misses none.
func (c *codec) read(r *bufio.Reader) (frame, error) {
	h, err := r.Peek(headerLen)
	if err != nil {
		return frame{}, err
	}
	kind := frameType(h[0])
	stream := binary.BigEndian.Uint32(h[4:])
	length := binary.BigEndian.Uint32(h[8:])
	if kind == 0 || kind >= frameTypeEnd || h[1] != 0 || h[2] != 0 || h[3] != 0 || length > maxPayload ||
		binary.BigEndian.Uint32(h[12:]) != c.check(kind, stream, length) {
		return frame{}, protocolErrorf("bad frame header % x", h)
	}
	total := headerLen + int(length) + trailerLen
	b, err := r.Peek(total)
	if err != nil {
		return frame{}, err
	}
	if binary.BigEndian.Uint64(b[total-trailerLen:]) != c.trailer() {
		return frame{}, protocolErrorf("bad frame trailer after %d bytes for stream %d", length, stream)
	}
	return frame{kind, stream, b[headerLen : total-trailerLen]}, nil
}

// advance consumes the frame that read returned.
func (c *codec) advance(r *bufio.Reader, f frame) error {
	c.seq++
	_, err := r.Discard(headerLen + len(f.payload) + trailerLen)
	return err
}

// number decodes a payload made by appendNumber.
func (f frame) number() (uint32, error) {
	if len(f.payload) != 4 {
		return 0, protocolErrorf("frame of type %d has %d bytes, want 4", f.kind, len(f.payload))
	}
	return binary.BigEndian.Uint32(f.payload), nil
}

// String is for logs.
func (f frame) String() string {
	return fmt.Sprintf("frame type %d, stream %d, %d bytes", f.kind, f.stream, len(f.payload))
}
