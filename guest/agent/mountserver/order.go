//go:build linux

package mountserver

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/guest/api"
)

// order is what the agent has the process do: one message of the control socket.
type order struct {
	op op
	// serial tells a mount's streams apart.
	serial uint64
	mount  *api.MountStream
}

type op byte

const (
	// opServe serves a mount on the socket that comes with the message.
	opServe op = iota + 1
	// opDrop forgets a mount, unless a later stream than serial's serves it.
	opDrop
)

const (
	orderHeader = 9
	maxOrder    = orderHeader + unix.PathMax + 1024
)

func (o order) encode() ([]byte, error) {
	b := append(make([]byte, 0, maxOrder), byte(o.op))
	b, err := proto.MarshalOptions{}.MarshalAppend(binary.BigEndian.AppendUint64(b, o.serial), o.mount)
	if err == nil && len(b) > maxOrder {
		err = fmt.Errorf("order of %d bytes: at most %d", len(b), maxOrder)
	}
	return b, err
}

func decodeOrder(b []byte) (order, error) {
	if len(b) < orderHeader {
		return order{}, fmt.Errorf("order of %d bytes", len(b))
	}
	o := order{op: op(b[0]), serial: binary.BigEndian.Uint64(b[1:]), mount: new(api.MountStream)}
	return o, proto.Unmarshal(b[orderHeader:], o.mount)
}
