package fileshare

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/Microsoft/go-winio"

	"github.com/paddock-run/paddock/guest/hostpipe"
)

// On Windows the control connection is a named pipe, which SYSTEM and
// Administrators may open.

// maxControl bounds a message, in bytes.
const maxControl = 16 << 10

// controlPipe is the name of the pipe of the server whose files are in dir.
func controlPipe(dir string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(dir)))
	return `\\.\pipe\paddock-share-` + hex.EncodeToString(sum[:16])
}

// call sends one request to the server whose files are in dir. There are no descriptors on Windows.
func call(ctx context.Context, dir string, req controlRequest, _ ...int) (controlReply, error) {
	conn, err := dialControl(ctx, controlPipe(dir))
	if err != nil {
		return controlReply{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var reply controlReply
	err = json.NewEncoder(conn).Encode(req)
	if err == nil {
		err = json.NewDecoder(io.LimitReader(conn, maxControl)).Decode(&reply)
	}
	if err != nil {
		return controlReply{}, errors.Join(err, ctx.Err())
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

// dialControl waits for a server that has just been started to make its pipe.
func dialControl(ctx context.Context, pipe string) (net.Conn, error) {
	for {
		conn, err := winio.DialPipeContext(ctx, pipe)
		if !errors.Is(err, os.ErrNotExist) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("share server's pipe: %w", errors.Join(err, ctx.Err()))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func listenControl(dir string) (net.Listener, error) {
	return hostpipe.Listen(controlPipe(dir), maxControl)
}
