package bridge

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// messageType is a message's kind, category, procedure and version.
type messageType uint32

const (
	kindMask     messageType = 0xf0000000
	request      messageType = 0x10000000
	response     messageType = 0x20000000
	notification messageType = 0x30000000
)

// procedure is what a request asks for: category, number and version.
type procedure messageType

// Procedures of a compute system, version 1.
const (
	create            procedure = 0x00100101
	start             procedure = 0x00100201
	shutdownGraceful  procedure = 0x00100301
	shutdownForced    procedure = 0x00100401
	executeProcess    procedure = 0x00100501
	waitForProcess    procedure = 0x00100601
	signalProcess     procedure = 0x00100701
	resizeConsole     procedure = 0x00100801
	getProperties     procedure = 0x00100901
	modifySettings    procedure = 0x00100a01
	negotiateProtocol procedure = 0x00100b01
	dumpStacks        procedure = 0x00100c01
	deleteState       procedure = 0x00100d01
)

// containerExited is the one notification there is; it shares its number with create.
const containerExited = notification | messageType(create)

var procedureNames = map[procedure]string{
	create: "Create", start: "Start", shutdownGraceful: "ShutdownGraceful", shutdownForced: "ShutdownForced",
	executeProcess: "ExecuteProcess", waitForProcess: "WaitForProcess", signalProcess: "SignalProcess",
	resizeConsole: "ResizeConsole", getProperties: "GetProperties", modifySettings: "ModifySettings",
	negotiateProtocol: "NegotiateProtocol", dumpStacks: "DumpStacks", deleteState: "DeleteContainerState",
}

func (p procedure) String() string {
	if name, known := procedureNames[p]; known {
		return name
	}
	return fmt.Sprintf("procedure %#x", uint32(p))
}

const (
	headerSize = 16
	// maxMessage bounds what is read of the guest. hcsshim takes 64 KiB; the stacks
	// of a busy guest are longer.
	maxMessage = 1 << 20
)

// message is one message, without its size.
type message struct {
	kind messageType
	id   uint64
	body []byte
}

// readMessage reads the guest's next message; io.EOF between two of them.
func readMessage(r io.Reader) (message, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return message{}, err
	}
	m := message{
		kind: messageType(binary.LittleEndian.Uint32(header[0:])),
		id:   binary.LittleEndian.Uint64(header[8:]),
	}
	size := binary.LittleEndian.Uint32(header[4:])
	if size < headerSize || size > maxMessage {
		return message{}, fmt.Errorf("%w: a message of %d bytes; %d to %d are allowed", ErrProtocol, size, headerSize, maxMessage)
	}
	m.body = make([]byte, size-headerSize)
	if _, err := io.ReadFull(r, m.body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return message{}, err
	}
	return m, nil
}

// encode is a message as it goes over the wire.
func encode(kind messageType, id uint64, body any) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, headerSize, 512))
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, err
	}
	raw := b.Bytes()
	binary.LittleEndian.PutUint32(raw[0:], uint32(kind))
	binary.LittleEndian.PutUint32(raw[4:], uint32(len(raw)))
	binary.LittleEndian.PutUint64(raw[8:], id)
	return raw, nil
}

// text is a value that the protocol carries as JSON within a JSON string.
type text[T any] struct{ Value T }

func (t text[T]) MarshalText() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(t.Value)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

func (t *text[T]) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, &t.Value)
}
