package fileshare

import (
	"context"
	"errors"
	"fmt"

	"github.com/paddock-run/paddock/fileshare/posix"
	"github.com/paddock-run/paddock/fileshare/session"
)

// hostState is what a server has on this host only.
type hostState struct {
	budget *posix.Budget
	// watcher is made for the first share that wants one; nil if none can be made.
	watcher func() *posix.Watcher
	// exports is guarded by shareServer.mu.
	exports map[string]*exported
}

func (s *shareServer) add(ctx context.Context, req controlRequest, fds []int) (Info, error) {
	if err := checkID("share id", req.ShareID); err != nil {
		return Info{}, err
	}
	if len(fds) != 2 {
		return Info{}, errors.New("add without descriptors of the share's root and its journal")
	}
	sh, err := s.enter(req, fds[0], fds[1])
	if err != nil {
		return Info{}, err
	}
	return s.open(ctx, sh)
}

// enter finds the share or makes it, without a stream.
func (s *shareServer) enter(req controlRequest, root, journal int) (*share, error) {
	id, err := fileIDOf(root)
	if err != nil {
		return nil, fmt.Errorf("stat the share's root: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh, err := s.known(req, id); sh != nil || err != nil {
		return sh, err
	}
	cfg := posix.Config{Root: root, ReadOnly: req.ReadOnly, IDs: req.IDs, FDDir: confinedFDDir, Budget: s.budget, Journal: journal}
	if req.FollowMounts {
		cfg.Under = s.under
	}
	fs, err := posix.New(cfg)
	if err != nil {
		return nil, err
	}
	sh := &share{
		id: req.ShareID, readOnly: req.ReadOnly, ids: req.IDs, root: id,
		fs: fs, session: session.New(fs), guest: s.guest, ended: make(chan struct{}),
	}
	fs.Notify(sh.session.Notify)
	if req.Watch {
		if w := s.watcher(); w != nil {
			if err := fs.Watch(w); err != nil {
				fs.Stop()
				fs.Close()
				return nil, err
			}
		}
	}
	s.shares[sh.id] = sh
	return sh, nil
}
