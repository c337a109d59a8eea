//go:build linux

package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/fileshare/posix"
	"github.com/paddock-run/paddock/fileshare/session"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/stream"
)

// exportedFiles bounds the files of exported mounts that the node knows at a time.
const exportedFiles = 1 << 16

// mountExports are the mounts of containers that are shown on the node.
type mountExports struct {
	limit  sync.Once
	budget *posix.Budget

	mu   sync.Mutex
	open map[exportKey]*mountExport // guarded by mu
}

type exportKey struct {
	share, path string
	id          uint64
}

// mountExport serves one mount, stream after stream.
type mountExport struct {
	fs      *posix.FS
	session *session.Server
}

func newMountExports() *mountExports {
	return &mountExports{budget: posix.NewBudget(exportedFiles), open: map[exportKey]*mountExport{}}
}

// serve answers the node's requests until the host ends the stream.
func (e *mountExports) serve(conn net.Conn, req *api.MountStream) error {
	if err := checkID("share", req.GetShareId()); err != nil {
		return refuse(conn, err)
	}
	if req.Path != "" && (!filepath.IsLocal(req.Path) || filepath.Clean(req.Path) != req.Path) {
		return refuse(conn, invalid("path %q of a mount: want a clean relative path", req.Path))
	}
	key := exportKey{req.ShareId, req.Path, req.Id}
	export, err := e.find(key)
	if err != nil {
		return refuse(conn, err)
	}
	if err := stream.WriteReply(conn, &api.StreamReply{}); err != nil {
		channel.Abort(conn)
		return err
	}
	err = export.session.Serve(conn)
	conn.Close()
	if errors.Is(err, io.EOF) {
		e.drop(key, export)
		return nil
	}
	return err // the host comes back
}

func (e *mountExports) find(key exportKey) (*mountExport, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if export := e.open[key]; export != nil {
		return export, nil
	}
	e.limit.Do(raiseFileLimit)
	fd, err := copyMount(key)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	fs, err := posix.New(posix.Config{Root: fd, Budget: e.budget})
	if err != nil {
		return nil, wrongState("mount at %q of share %s: %v", key.path, key.share, err)
	}
	export := &mountExport{fs: fs, session: session.New(fs)}
	e.open[key] = export
	return export, nil
}

func (e *mountExports) drop(key exportKey, export *mountExport) {
	e.mu.Lock()
	if e.open[key] != export {
		e.mu.Unlock()
		return
	}
	delete(e.open, key)
	e.mu.Unlock()
	export.fs.Stop()
	export.session.Wait()
	export.fs.Close()
}

// copyMount opens a copy of a mount, attached nowhere: the mount itself stays
// free for its container to unmount. Links that a container may have put in the
// way are not followed, and another mount than the one meant is refused.
func copyMount(key exportKey) (int, error) {
	base, err := unix.Open(sharesDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", sharesDir, err)
	}
	defer unix.Close(base)
	name := filepath.Join(key.share, key.path)
	fd, err := unix.Openat2(base, name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, notFound("mount at %q of share %s: %v", key.path, key.share, err)
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st); err != nil {
		return -1, fmt.Errorf("stat the mount at %q of share %s: %w", key.path, key.share, err)
	}
	if st.Mnt_id != key.id {
		return -1, notFound("mount at %q of share %s is not %d any more", key.path, key.share, key.id)
	}
	tree, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return -1, fmt.Errorf("copy the mount at %q of share %s: %w", key.path, key.share, err)
	}
	// What is mounted below later is a mount of its own to the host.
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Propagation: unix.MS_PRIVATE}); err != nil {
		unix.Close(tree)
		return -1, fmt.Errorf("make the copy of a mount private: %w", err)
	}
	return tree, nil
}

// raiseFileLimit lets the agent itself hold the descriptors of exported files.
// The system call is made directly: Go gives children the limits it started
// with, unless its own function was used.
func raiseFileLimit() {
	lim := unix.Rlimit{Cur: 2 * exportedFiles, Max: 2 * exportedFiles}
	unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&lim)), 0, 0, 0)
}
