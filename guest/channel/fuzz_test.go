package channel

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"testing"
)

func readerOf(b []byte) *bufio.Reader { return bufio.NewReaderSize(bytes.NewReader(b), 2*maxFrame) }

func bytesOf(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// rawFrames turns fuzz input into frames that are well sealed: three bytes choose type, stream and length, the payload follows.
func rawFrames(c *codec, in []byte) []byte {
	var out []byte
	for len(in) >= 3 {
		kind, stream, n := frameType(in[0]), uint32(in[1]%8), min(int(in[2]), len(in)-3)
		out = c.appendFrame(out, kind, stream, in[3:3+n])
		in = in[3+n:]
	}
	return out
}

var frameSeeds = [][]byte{
	{1, 1, 4, 0, 0, 0, 7, 4, 1, 3, 'a', 'b', 'c', 6, 1, 0},
	{1, 1, 4, 0, 0, 0, 9, 8, 1, 0, 4, 1, 1, 'x'},
	{1, 1, 4, 0, 0, 0, 7, 5, 1, 4, 0xff, 0xff, 0xff, 0xff},
	{1, 2, 4, 0, 0, 0, 7, 1, 1, 4, 0, 0, 0, 7},
	{2, 1, 0, 4, 1, 1, 'x', 7, 1, 0, 4, 1, 1, 'x'},
	{3, 1, 1, 1, 2, 1, 0},
	{4, 1, 0},
}

// FuzzGuestFrames gives a guest's session whatever frames a host may seal.
func FuzzGuestFrames(f *testing.F) { fuzzFrames(f, true) }

// FuzzHostFrames gives a host's session, with two streams dialled, whatever frames a guest may seal.
func FuzzHostFrames(f *testing.F) { fuzzFrames(f, false) }

func fuzzFrames(f *testing.F, guest bool) {
	for _, s := range frameSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n := newNonce()
		var s *session
		peer := fromGuest
		if guest {
			m := &GuestMux{listeners: map[uint32]*muxListener{}}
			m.listeners[7] = newMuxListener(m, 7)
			s = newSession("guest", newCodec(n, fromGuest), m.accept)
			peer = fromHost
		} else {
			s = newSession("host", newCodec(n, fromHost), nil)
			s.open(7)
			s.open(7)
		}
		go s.writeLoop(io.Discard, nil)
		out := newCodec(n, peer)
		err := s.readLoop(readerOf(rawFrames(&out, in)), newCodec(n, peer))
		if err == nil {
			t.Fatal("the loop ended without a reason")
		}
		s.fail(err)
		<-s.writerDone
	})
}

// FuzzFrame reads bytes nobody sealed.
func FuzzFrame(f *testing.F) {
	c := newCodec(nonce{1}, fromHost)
	f.Add(c.appendNumber(nil, frameOpen, 1, 7))
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, r := newCodec(nonce{1}, fromHost), readerOf(in)
		for {
			fr, err := c.read(r)
			if err != nil {
				return
			}
			if len(fr.payload) > maxPayload {
				t.Fatalf("payload of %d bytes", len(fr.payload))
			}
			if err := c.advance(r, fr); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzHunt looks for a greeting behind whatever comes before it.
func FuzzHunt(f *testing.F) {
	f.Add([]byte{}, uint32(1))
	f.Add(helloMagic[:], uint32(1))
	f.Add(append(helloMagic[:15:15], helloMagic[:]...), uint32(2))
	f.Add(appendGreeting(nil, helloMagic, 1, nonce{})[:40], uint32(math.MaxUint32))
	f.Fuzz(func(t *testing.T, before []byte, version uint32) {
		want := newNonce()
		b := appendGreeting(append(before[:len(before):len(before)], make([]byte, greetingLen)...), helloMagic, version, want)
		r := readerOf(append(b, "rest"...))
		for {
			v, n, err := hunt(r, helloMagic)
			if err != nil {
				t.Fatalf("the greeting was missed: %v", err)
			}
			if n == want && v == version {
				break
			}
		}
		if rest, _ := io.ReadAll(r); string(rest) != "rest" {
			t.Fatalf("left %q", rest)
		}
	})
}

// TestPeerOverrunsItsWindow: a peer that does not wait for credit ends its session.
func TestPeerOverrunsItsWindow(t *testing.T) {
	n := newNonce()
	s := newSession("host", newCodec(n, fromHost), nil)
	if _, err := s.open(7); err != nil {
		t.Fatal(err)
	}
	go s.writeLoop(io.Discard, nil)
	out := newCodec(n, fromGuest)
	b := out.appendFrame(nil, frameOpened, 1, nil)
	for sent := 0; sent <= Window; sent += dataChunk {
		b = out.appendFrame(b, frameData, 1, make([]byte, dataChunk))
	}
	err := s.readLoop(readerOf(b), newCodec(n, fromGuest))
	s.fail(err)
	<-s.writerDone
	if s.reason() == nil || err == io.EOF {
		t.Fatalf("overrun was taken: %v", err)
	}
}
