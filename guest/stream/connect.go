package stream

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/paddock-run/paddock/guest/api"
)

// Connect dials a guest's stream port and says what the stream is for. A refusal
// of the guest keeps its gRPC code (status.Code). ctx bounds the opening only.
func Connect(ctx context.Context, dial func(context.Context) (net.Conn, error), header *api.StreamHeader) (net.Conn, *api.StreamReply, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("dial the guest's stream port: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	reply, err := Open(conn, header)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, reply, nil
}
