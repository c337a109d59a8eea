package fileshare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// On Linux the control connection is a SOCK_SEQPACKET socket, and each message a
// packet. Only root can connect.

// maxControl bounds a packet, in bytes.
const maxControl = 16 << 10

const controlSocket = "control.sock"

// call sends one request to the server whose files are in dir, and descriptors with it.
func call(ctx context.Context, dir string, req controlRequest, fds ...int) (controlReply, error) {
	conn, err := dialControl(ctx, dir)
	if err != nil {
		return controlReply{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	data, err := json.Marshal(req)
	if err != nil {
		return controlReply{}, err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := conn.WriteMsgUnix(data, rights, nil); err != nil {
		return controlReply{}, errors.Join(err, ctx.Err())
	}
	buf := make([]byte, maxControl)
	n, err := conn.Read(buf)
	if err != nil {
		return controlReply{}, errors.Join(err, ctx.Err())
	}
	var reply controlReply
	if err := json.Unmarshal(buf[:n], &reply); err != nil {
		return controlReply{}, fmt.Errorf("decode the share server's answer: %w", err)
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

// shortPath calls fn with a path of dir/name that fits a socket address, however long dir is.
func shortPath(dir, name string, fn func(path string) error) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	return fn(filepath.Join("/proc/self/fd", strconv.Itoa(fd), name))
}

func dialControl(ctx context.Context, dir string) (conn *net.UnixConn, err error) {
	err = shortPath(dir, controlSocket, func(path string) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "unixpacket", path)
		if err == nil {
			conn = c.(*net.UnixConn)
		}
		return err
	})
	return conn, err
}

// listenControl makes the server's socket, for the server to inherit.
func listenControl(dir string) (file *os.File, err error) {
	err = shortPath(dir, controlSocket, func(path string) error {
		l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
		if err != nil {
			return err
		}
		defer l.Close()
		l.SetUnlinkOnClose(false)
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		file, err = l.File()
		return err
	})
	return file, err
}

// maxRights bounds the descriptors that come with a request.
const maxRights = 2

// receive reads one request and the descriptors that came with it.
func receive(conn *net.UnixConn) (req controlRequest, fds []int, err error) {
	buf, oob := make([]byte, maxControl), make([]byte, unix.CmsgSpace(4*maxRights))
	n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return req, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return req, nil, err
	}
	for _, m := range messages {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range got {
			unix.CloseOnExec(fd)
		}
		fds = append(fds, got...)
	}
	if err := json.Unmarshal(buf[:n], &req); err != nil {
		closeAll(fds)
		return req, nil, fmt.Errorf("decode control request: %w", err)
	}
	return req, fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
