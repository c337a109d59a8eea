package fileshare

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/fileshare/ntfs"
	"github.com/paddock-run/paddock/fileshare/session"
	"github.com/paddock-run/paddock/fileshare/wire"
)

// hostState is what a server has on this host only.
type hostState struct{ budget *ntfs.Budget }

// Bounds of a sandbox's files and folders that are open (a folder takes up to 16 KiB), and of
// those that its guest knows (some 300 MB).
const (
	maxHandles = 1 << 15
	maxNodes   = 1 << 20
)

// ownerless are the metadata of files that Windows' programs have made: root's, and nobody else may change them.
var ownerless = ntfs.Defaults{Umask: 0o022}

// add serves the root that a request has brought.
func (s *shareServer) add(ctx context.Context, req controlRequest) (Info, error) {
	if req.Process != os.Getpid() {
		return Info{}, errors.New("the request is for a server that has ended")
	}
	if req.Root == 0 {
		return Info{}, errors.New("add without a handle of the share's root")
	}
	root := windows.Handle(req.Root)
	if err := checkID("share id", req.ShareID); err != nil {
		windows.CloseHandle(root)
		return Info{}, err
	}
	sh, err := s.enter(req, root)
	if err != nil {
		return Info{}, err
	}
	return s.open(ctx, sh)
}

// enter finds the share or makes it, without a stream. It takes root over.
func (s *shareServer) enter(req controlRequest, root windows.Handle) (*share, error) {
	id, err := fileIDOf(root)
	if err != nil {
		windows.CloseHandle(root)
		return nil, fmt.Errorf("stat the share's root: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh, err := s.known(req, id); sh != nil || err != nil {
		windows.CloseHandle(root)
		return sh, err
	}
	fs, err := ntfs.New(ntfs.Config{Root: root, ReadOnly: req.ReadOnly, Defaults: ownerless, Budget: s.budget})
	if err != nil {
		return nil, err
	}
	sh := &share{
		id: req.ShareID, readOnly: req.ReadOnly, root: id, fs: fs,
		session: session.NewServer(wire.NewHandler(fs, session.MaxWrite)), guest: s.guest, ended: make(chan struct{}),
	}
	if req.Watch {
		if err := fs.Watch(sh.session.Notify); err != nil {
			klog.ErrorS(err, "Changes of the host cannot be watched: they are seen within a second, without inotify events", "share", sh.id)
		}
	}
	s.shares[sh.id] = sh
	return sh, nil
}
