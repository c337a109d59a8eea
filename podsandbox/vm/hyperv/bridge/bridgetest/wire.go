package bridgetest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
)

// What a message's type says, as the protocol has it.
const (
	kindRequest      = 0x1
	kindResponse     = 0x2
	kindNotification = 0x3

	headerSize = 16
	mostBytes  = 64 << 10 // that Microsoft's service takes
)

const nullID = "00000000-0000-0000-0000-000000000000"

// header begins a message.
type header struct {
	Type, Size uint32
	ID         uint64
}

// base begins every request.
type base struct {
	ContainerID string `json:"ContainerId"`
	ActivityID  string `json:"ActivityId"`
}

// refusal is why a request is not done.
type refusal struct {
	code uint32
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("0x%08X %s", r.code, r.text) }

// Results that the host knows.
const (
	notFound     = 0x80070490
	noSystem     = 0xC037010E
	exists       = 0xC037010F
	wrongState   = 0xC0370105
	invalidJSON  = 0xC037010D
	invalid      = 0x80070057
	unknown      = 0xC037010B
	fileNotFound = 0x80070002
)

func refuse(code uint32, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// serve answers one bridge until it breaks.
func (g *Guest) serve(conn net.Conn) {
	var writing sync.Mutex
	send := func(kind uint32, id uint64, body any) {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err) // a type of ours
		}
		writing.Lock()
		defer writing.Unlock()
		b := binary.LittleEndian.AppendUint32(nil, kind)
		b = binary.LittleEndian.AppendUint32(b, uint32(headerSize+len(raw)))
		b = binary.LittleEndian.AppendUint64(b, id)
		_, _ = conn.Write(append(b, raw...)) // the reader learns of a broken bridge
	}
	g.mu.Lock()
	g.conn = conn
	g.notify = func(id string) {
		send(kindNotification<<28|0x00100101, 0, map[string]any{"ContainerId": id, "Type": "ForcedExit", "Operation": "None", "Result": 0})
	}
	g.mu.Unlock()
	defer conn.Close()
	for {
		var h header
		if binary.Read(conn, binary.LittleEndian, &h) != nil {
			return
		}
		if h.Type>>28 != kindRequest || h.Size < headerSize || h.Size > mostBytes {
			g.refused(fmt.Sprintf("a message of type %#x with %d bytes", h.Type, h.Size))
			return
		}
		body := make([]byte, h.Size-headerSize)
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		go func() {
			answer, bad := g.handle(h.Type&0x0fffffff, body)
			if answer == nil {
				answer = map[string]any{}
			}
			answer["Result"] = 0
			if bad != nil {
				g.refused(bad.Error())
				answer["Result"], answer["ErrorMessage"] = int32(bad.code), bad.text
			}
			send(kindResponse<<28|h.Type&0x0fffffff, h.ID, answer)
		}()
	}
}

func (g *Guest) refused(what string) {
	if g.cfg.Refused != nil {
		g.cfg.Refused(what)
	}
}

// unmarshal reads a request; what is not known is refused.
func unmarshal(body []byte, to any) *refusal {
	if err := json.Unmarshal(body, to); err != nil {
		return refuse(invalidJSON, "%v", err)
	}
	return nil
}
