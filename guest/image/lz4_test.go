package image

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// lz4Frame packs blocks as the kernel's build does.
func lz4Frame(blocks ...string) []byte {
	out := []byte{0x02, 0x21, 0x4c, 0x18}
	for _, b := range blocks {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(b)))
		out = append(out, b...)
	}
	return out
}

func TestUnpackLZ4(t *testing.T) {
	long := "\xf0\x05" + strings.Repeat("x", 20) // 15+5 literals, no match
	for _, c := range []struct{ name, block, want string }{
		{"literals", "\x30abc", "abc"},
		{"match", "\x32abc\x03\x00\x00", "abc" + "abcabc"},
		{"overlap", "\x1fa\x01\x00\x00\x00", strings.Repeat("a", 1+19)},
		{"long literals", long, strings.Repeat("x", 20)},
	} {
		got, err := unpackLZ4Legacy(lz4Frame(c.block), len(c.want))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	got, err := unpackLZ4Legacy(lz4Frame("\x30abc", "\x30def"), 6)
	if err != nil || string(got) != "abcdef" {
		t.Errorf("two blocks: got %q, %v", got, err)
	}
}

func TestUnpackLZ4Corrupt(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame []byte
		size  int
	}{
		{"short", lz4Frame("\x30abc"), 4},
		{"long", lz4Frame("\x30abc"), 2},
		{"literals cut", lz4Frame("\x40abc"), 4},
		{"distance 0", lz4Frame("\x31abc\x00\x00\x00"), 10},
		{"distance too far", lz4Frame("\x31abc\x04\x00\x00"), 10},
		{"distance into another block", lz4Frame("\x30abc", "\x11a\x02\x00\x00"), 20},
		{"length cut", lz4Frame("\xf0\xff"), 300},
		{"block cut", append(lz4Frame(), 9, 0, 0, 0, 1), 9},
	} {
		if got, err := unpackLZ4Legacy(c.frame, c.size); err == nil {
			t.Errorf("%s: no error, got %q", c.name, got)
		}
	}
}

func FuzzExtractVmlinux(f *testing.F) {
	head := make([]byte, endOfHeader+1024)
	copy(head[offHeaderMagic:], "HdrS")
	payload := append(lz4Frame("\x32abc\x03\x00\x00"), 9, 0, 0, 0)
	binary.LittleEndian.PutUint32(head[offPayloadLength:], uint32(len(payload)))
	copy(head[512:], payload)
	f.Add(head)
	f.Add([]byte("MZ"))
	f.Add(bytes.Repeat([]byte{0xff}, 4096))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := ExtractVmlinux(b); err == nil && len(out) > maxKernel {
			t.Errorf("unpacked to %d bytes", len(out))
		}
	})
}
