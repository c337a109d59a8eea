package stream

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/guest/api"
)

// WriteHeader begins a connection, at the host.
func WriteHeader(w io.Writer, h *api.StreamHeader) error { return write(w, "stream header", h) }

// ReadHeader reads what begins a connection, at the guest.
func ReadHeader(r io.Reader) (*api.StreamHeader, error) {
	h := &api.StreamHeader{}
	if err := read(r, "stream header", h); err != nil {
		return nil, err
	}
	return h, nil
}

// WriteReply answers a header, at the guest.
func WriteReply(w io.Writer, r *api.StreamReply) error { return write(w, "stream reply", r) }

// WriteError answers a header with an error's gRPC status code and text, which is cut to fit.
func WriteError(w io.Writer, err error) error {
	st := status.Convert(err)
	msg := st.Message()
	if len(msg) > api.MaxStreamHeader/2 {
		msg = msg[:api.MaxStreamHeader/2]
	}
	code := st.Code()
	if code == codes.OK {
		code = codes.Unknown
	}
	return WriteReply(w, &api.StreamReply{Code: uint32(code), Message: strings.ToValidUTF8(msg, "")})
}

// ReadReply reads the answer to a header, at the host. A refusal is an error
// with the reply's gRPC status code (status.Code).
func ReadReply(r io.Reader) (*api.StreamReply, error) {
	reply := &api.StreamReply{}
	if err := read(r, "stream reply", reply); err != nil {
		return nil, err
	}
	if reply.Code != 0 {
		return nil, status.Error(codes.Code(reply.Code), reply.Message)
	}
	return reply, nil
}

// Open writes a header and reads its reply: what the host does on a new connection.
func Open(conn io.ReadWriter, h *api.StreamHeader) (*api.StreamReply, error) {
	if err := WriteHeader(conn, h); err != nil {
		return nil, err
	}
	return ReadReply(conn)
}

// write sends a message behind its length, in one Write.
func write(w io.Writer, what string, m proto.Message) error {
	b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 2, 256), m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", what, err)
	}
	n := len(b) - 2
	if n > api.MaxStreamHeader {
		return fmt.Errorf("encode %s: %d bytes are more than the %d allowed", what, n, api.MaxStreamHeader)
	}
	binary.BigEndian.PutUint16(b, uint16(n))
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

// read receives a message behind its length, and not one byte more.
func read(r io.Reader, what string, m proto.Message) error {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n > api.MaxStreamHeader {
		return fmt.Errorf("read %s: %d bytes are more than the %d allowed", what, n, api.MaxStreamHeader)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	return nil
}
