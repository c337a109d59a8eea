package fileshare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/fusedev"
)

// maxExports bounds the guest's mounts that are shown on the node, of one sandbox.
const maxExports = 64

func fileIDOf(fd int) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fileID{}, err
	}
	return fileID{st.Dev, st.Ino}, nil
}

// exported is one mount of the guest's on the node.
type exported struct {
	pump  *mountPump
	place place
	under int // what is below the mount; -1: nothing to hide
}

// place is a name in a directory.
type place struct {
	dir  fileID
	name string
}

// export starts a pump and answers when the guest has answered the kernel's first request.
func (s *shareServer) export(ctx context.Context, req *exportRequest, fds []int) error {
	if req == nil || len(fds) != 2 {
		return errors.New("export without a request, a device and what it covers")
	}
	if err := checkID("export id", req.ID); err != nil {
		return err
	}
	if err := s.checkExport(req); err != nil {
		return err
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		return s.guest.dial(ctx, &api.StreamHeader{Kind: &api.StreamHeader_Mount{
			Mount: &api.MountStream{ShareId: req.ShareID, Path: req.Path, Id: req.Mount},
		}})
	}
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	e, err := newExported(req, fds, conn, dial)
	if err != nil {
		conn.Close()
		return err
	}
	s.mu.Lock()
	if s.exports[req.ID] != nil {
		s.mu.Unlock()
		e.end()
		return errors.New("the mount is shown already")
	}
	s.exports[req.ID] = e
	s.mu.Unlock()
	select {
	case <-e.pump.ready:
		return nil
	case <-e.pump.ended:
		err = errors.New("the device was closed")
	case <-time.After(initAnswer):
		err = errors.New("the guest does not answer")
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.unexport(req.ID)
	return err
}

func (s *shareServer) checkExport(req *exportRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shares[req.ShareID]
	switch {
	case sh == nil:
		return fmt.Errorf("no share %s", req.ShareID)
	case fileID{sh.root.Dev, sh.root.Ino} != req.Root:
		return errors.New("the share's host path leads elsewhere now")
	case len(s.exports) >= maxExports:
		return fmt.Errorf("the sandbox shows %d mounts on the node already", maxExports)
	}
	return nil
}

func newExported(req *exportRequest, fds []int, conn net.Conn, dial func(context.Context) (net.Conn, error)) (*exported, error) {
	e := &exported{place: place{req.Parent, req.Name}, under: -1}
	device, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dev, err := fusedev.New(device)
	if err != nil {
		return nil, err
	}
	if req.Name != "" {
		if e.under, err = unix.FcntlInt(uintptr(fds[1]), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			dev.Close()
			return nil, err
		}
	}
	e.pump = startMountPump(req.ID, guestAnswers, dev, conn, dial)
	return e, nil
}

func (e *exported) end() {
	e.pump.finish()
	if e.under >= 0 {
		unix.Close(e.under)
	}
}

func (s *shareServer) unexport(id string) {
	s.mu.Lock()
	defer s.mu.Unlock() // under may be at work with the descriptor
	if e := s.exports[id]; e != nil {
		delete(s.exports, id)
		e.end()
	}
}

func (s *shareServer) exportIDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.exports))
	for id := range s.exports {
		ids = append(ids, id)
	}
	return ids
}

// under opens what is below a mount of the guest's, if one covers that name. To
// the guest the place must stay what it was: its kernel would take another file
// there as a reason to drop its own mount. The caller closes the descriptor.
func (s *shareServer) under(dev, ino uint64, name string) (fd int, covered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.exports {
		if e.under >= 0 && e.place == (place{fileID{dev, ino}, name}) {
			fd, err := unix.FcntlInt(uintptr(e.under), unix.F_DUPFD_CLOEXEC, 0)
			return fd, err == nil
		}
	}
	return -1, false
}
