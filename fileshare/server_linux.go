package fileshare

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// add opens a share's root, which must be want if that is set, and gives it to the process.
func (s *server) add(ctx context.Context, share Share, want *fileID) (info Info, root fileID, err error) {
	fd, err := openRoot(share)
	if err != nil {
		return Info{}, fileID{}, err
	}
	defer unix.Close(fd)
	if root, err = fileIDOf(fd); err != nil {
		return Info{}, fileID{}, fmt.Errorf("stat the host path: %w", err)
	}
	if want != nil && root != *want {
		return Info{}, root, errors.New("the host path leads elsewhere now")
	}
	request := controlRequest{Op: opAdd, ShareID: share.ID, ReadOnly: share.ReadOnly, FollowMounts: share.FollowMounts, IDs: share.IDs, Watch: share.Watch}
	journal, err := openJournal(s.dir, share.ID)
	if err != nil {
		return Info{}, root, err
	}
	defer journal.Close()
	reply, err := s.ask(ctx, request, fd, int(journal.Fd()))
	return reply.Info, root, err
}
