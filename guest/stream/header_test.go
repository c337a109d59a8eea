package stream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/guest/api"
)

func TestHeaderRoundTrip(t *testing.T) {
	want := &api.StreamHeader{Kind: &api.StreamHeader_Stdio{Stdio: &api.StdioStream{
		ContainerId: "c", ExecId: "e", Stdio: api.Stdio_STDIO_STDERR, Offset: 1 << 40}}}
	var b bytes.Buffer
	if err := WriteHeader(&b, want); err != nil {
		t.Fatal(err)
	}
	b.WriteString("what follows")
	got, err := ReadHeader(&b)
	if err != nil || !proto.Equal(got, want) {
		t.Fatalf("got %v, %v", got, err)
	}
	if b.String() != "what follows" {
		t.Fatalf("left %q", b.String())
	}
}

func TestReadHeaderRejects(t *testing.T) {
	tests := []struct {
		name, in string
		is       error
	}{
		{"nothing", "", io.EOF},
		{"half a length", "\x00", io.ErrUnexpectedEOF},
		{"cut off", "\x00\x05abc", io.ErrUnexpectedEOF},
		{"too long", "\xff\xff" + strings.Repeat("x", 1<<16), nil},
		{"no protobuf", "\x00\x03\xff\xff\xff", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ReadHeader(strings.NewReader(tt.in))
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Fatalf("got %v, %v", h, err)
			}
		})
	}
}

func TestWriteHeaderIsBounded(t *testing.T) {
	h := &api.StreamHeader{Kind: &api.StreamHeader_Share{Share: &api.ShareStream{ShareId: strings.Repeat("x", api.MaxStreamHeader)}}}
	if err := WriteHeader(io.Discard, h); err == nil {
		t.Fatal("wrote a header that no reader takes")
	}
}

func TestErrorReply(t *testing.T) {
	var b bytes.Buffer
	if err := WriteError(&b, status.Error(codes.NotFound, strings.Repeat("ä", api.MaxStreamHeader))); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReply(&b); status.Code(err) != codes.NotFound {
		t.Fatalf("got %v", err)
	}
}

func FuzzReadHeader(f *testing.F) {
	var b bytes.Buffer
	WriteHeader(&b, &api.StreamHeader{Kind: &api.StreamHeader_PortForward{PortForward: &api.PortForwardStream{Port: 80}}})
	f.Add(b.Bytes())
	f.Add([]byte("\x00\x00"))
	f.Add([]byte("\xff\xff\x0a"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ReadHeader(bytes.NewReader(in))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := WriteHeader(&out, h); err != nil && len(in) < api.MaxStreamHeader/2 {
			t.Fatalf("cannot write what was read: %v", err)
		}
	})
}
