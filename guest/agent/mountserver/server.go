//go:build linux

package mountserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/fileshare/posix"
	"github.com/paddock-run/paddock/fileshare/session"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/stream"
)

// Control is the descriptor of the process's control socket.
const Control = 3

// maxFiles bounds the files of mounts that the node knows at a time.
const maxFiles = 1 << 16

// server is the state of the process.
type server struct {
	dir    string
	budget *posix.Budget

	mu   sync.Mutex
	open map[key]*export // guarded by mu
}

type key struct {
	share, path string
	id          uint64
}

// export serves one mount, stream after stream.
type export struct {
	fs      *posix.FS
	session *session.Server
	serial  uint64 // of the newest stream; guarded by the server's mu
}

// Main serves mounts below the shares in dir until the agent ends.
func Main(dir string) error {
	limit := unix.Rlimit{Cur: 2 * maxFiles, Max: 2 * maxFiles}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	s := &server{dir: dir, budget: posix.NewBudget(maxFiles), open: map[key]*export{}}
	for {
		order, socket, err := receive(Control)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.obey(order, socket)
	}
}

// receive waits for an order; its socket is nil if none came.
func receive(control int) (order, *os.File, error) {
	msg, oob := make([]byte, maxOrder), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(control, msg, oob, unix.MSG_CMSG_CLOEXEC)
	switch {
	case err == unix.EINTR:
		return receive(control)
	case err != nil:
		return order{}, nil, os.NewSyscallError("recvmsg", err)
	case n == 0:
		return order{}, nil, io.EOF
	}
	var socket *os.File
	if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) == 1 {
		if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
			socket = os.NewFile(uintptr(fds[0]), "stream")
		}
	}
	o, err := decodeOrder(msg[:n])
	return o, socket, err
}

func (s *server) obey(o order, socket *os.File) {
	k := key{o.mount.ShareId, o.mount.Path, o.mount.Id}
	switch {
	case o.op == opDrop:
		go s.drop(k, o.serial)
	case o.op == opServe && socket != nil:
		conn, err := net.FileConn(socket)
		socket.Close()
		if err != nil {
			klog.ErrorS(err, "Cannot use a stream's socket")
			return
		}
		go func() {
			defer conn.Close()
			if err := s.serve(conn, k, o.serial); err != nil {
				klog.V(2).InfoS("The stream of a mount ended", "share", k.share, "path", k.path, "err", err)
			}
		}()
	}
}

// serve answers the node's requests until the stream ends.
func (s *server) serve(conn net.Conn, k key, serial uint64) error {
	e, err := s.find(k, serial)
	if err != nil {
		return errors.Join(err, stream.WriteError(conn, err))
	}
	if err := stream.WriteReply(conn, &api.StreamReply{}); err != nil {
		return err
	}
	return e.session.Serve(conn)
}

func (s *server) find(k key, serial uint64) (*export, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.open[k]
	if e == nil {
		fd, err := copyMount(s.dir, k)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		fs, err := posix.New(posix.Config{Root: fd, Budget: s.budget})
		if err != nil {
			return nil, status.Errorf(codes.FailedPrecondition, "mount at %q of share %s: %v", k.path, k.share, err)
		}
		e = &export{fs: fs, session: session.New(fs)}
		s.open[k] = e
	}
	e.serial = max(e.serial, serial)
	return e, nil
}

func (s *server) drop(k key, serial uint64) {
	s.mu.Lock()
	e := s.open[k]
	if e == nil || e.serial > serial {
		s.mu.Unlock()
		return
	}
	delete(s.open, k)
	s.mu.Unlock()
	e.fs.Stop()
	e.session.Wait()
	e.fs.Close()
}
