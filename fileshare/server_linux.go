package fileshare

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// add opens a share's root, which must be want if that is set, and gives it to the process.
func (s *server) add(ctx context.Context, share Share, want *rootID) (info Info, root rootID, err error) {
	fd, err := openRoot(share)
	if err != nil {
		return Info{}, root, err
	}
	defer unix.Close(fd)
	if root, err = rootIDOf(fd); err != nil {
		return Info{}, root, fmt.Errorf("stat the host path: %w", err)
	}
	if want != nil && !root.is(*want) {
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

func rootIDOf(fd int) (rootID, error) {
	file, err := fileIDOf(fd)
	if err != nil {
		return rootID{}, err
	}
	var st unix.Statx_t
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return rootID{fileID: file}, err
	}
	return rootID{fileID: file, Born: time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).UnixNano()}, nil
}
