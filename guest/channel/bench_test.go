package channel

import (
	"io"
	"testing"
)

func BenchmarkThroughput(b *testing.B) {
	d, l := muxPair(b)
	h, g := connect(b, d, l)
	buf := make([]byte, 256<<10)
	b.SetBytes(int64(len(buf)))
	go func() {
		for range b.N {
			h.Write(buf)
		}
		h.CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, g); err != nil || n != int64(b.N*len(buf)) {
		b.Fatal(n, err)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	d, l := muxPair(b)
	h, g := connect(b, d, l)
	go io.Copy(g, g)
	buf := make([]byte, 64)
	for b.Loop() {
		h.Write(buf)
		if _, err := io.ReadFull(h, buf); err != nil {
			b.Fatal(err)
		}
	}
}
