//go:build linux

package agent

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/api"
)

// maxGuestMounts bounds the mounts told to the host.
const maxGuestMounts = 256

// mountWatch knows what containers have mounted below shares. Their mounts of a
// share with propagation and the agent's own are peers, so the agent's table of
// mounts has it all, also when the container has ended.
type mountWatch struct {
	start   sync.Once
	reading chan struct{} // capacity 1: held to read the table; a file system of a container may hold it up

	mu sync.Mutex
	// what follows is guarded by mu
	version uint64
	mounts  []*api.GuestMount
	leftOut int
	changed chan struct{} // closed when version changes
}

func newMountWatch() *mountWatch {
	return &mountWatch{reading: make(chan struct{}, 1), changed: make(chan struct{})}
}

// WatchMounts answers when the mounts differ from those of the version known.
func (a *Agent) WatchMounts(ctx context.Context, req *api.WatchMountsRequest) (*api.WatchMountsResponse, error) {
	w := a.mounts
	w.start.Do(func() { go w.follow() })
	if err := w.refresh(ctx); err != nil {
		return nil, err
	}
	for {
		w.mu.Lock()
		answer := &api.WatchMountsResponse{Version: w.version, Mounts: w.mounts, LeftOut: uint32(w.leftOut)}
		changed := w.changed
		w.mu.Unlock()
		if answer.Version != req.Known {
			return answer, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// follow reads the table again whenever the kernel says that it has changed.
func (w *mountWatch) follow() {
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		klog.ErrorS(err, "Mounts of containers are seen only when the host asks")
		return
	}
	defer unix.Close(fd)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			klog.ErrorS(err, "Mounts of containers are seen only when the host asks")
			return
		}
		if err := w.refresh(context.Background()); err != nil {
			klog.ErrorS(err, "Read the table of mounts")
		}
	}
}

// refresh reads the table.
func (w *mountWatch) refresh(ctx context.Context) error {
	select {
	case w.reading <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.reading }()
	table, err := mountinfo.GetMounts(mountinfo.PrefixFilter(sharesDir))
	if err != nil {
		return err
	}
	mounts := guestMounts(table)
	leftOut := max(0, len(mounts)-maxGuestMounts)
	mounts = mounts[:len(mounts)-leftOut]
	w.mu.Lock()
	known := w.mounts
	w.mu.Unlock()
	for _, m := range mounts {
		m.IsFile = isFile(m, known)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	same := w.version > 0 && leftOut == w.leftOut &&
		slices.EqualFunc(mounts, w.mounts, func(x, y *api.GuestMount) bool { return proto.Equal(x, y) })
	if same {
		return nil
	}
	w.mounts, w.leftOut = mounts, leftOut
	w.version++
	close(w.changed)
	w.changed = make(chan struct{})
	return nil
}

// guestMounts finds what is mounted on shares in a table of mounts: of several at one place the topmost.
func guestMounts(table []*mountinfo.Info) []*api.GuestMount {
	covered := map[int]bool{} // by a mount on its root
	place := map[int]string{}
	for _, m := range table {
		place[m.ID] = m.Mountpoint
	}
	for _, m := range table {
		if place[m.Parent] == m.Mountpoint {
			covered[m.Parent] = true
		}
	}
	var found []*api.GuestMount
	for _, m := range table {
		share, path, below := strings.Cut(strings.TrimPrefix(m.Mountpoint, sharesDir+"/"), "/")
		base := !below && place[m.Parent] != m.Mountpoint // the share itself
		if m.Mountpoint == sharesDir || base || covered[m.ID] || strings.HasSuffix(m.Mountpoint, "//deleted") {
			continue
		}
		found = append(found, &api.GuestMount{ShareId: share, Path: path, Id: uint64(m.ID), FsType: m.FSType})
	}
	// Parents first, whatever order they were made in.
	slices.SortStableFunc(found, func(x, y *api.GuestMount) int {
		return strings.Compare(x.ShareId+"/"+x.Path, y.ShareId+"/"+y.Path)
	})
	return found
}

// isFile tells whether a mount shows one file. Its file system, which may be a
// container's own program, is not asked.
func isFile(m *api.GuestMount, known []*api.GuestMount) bool {
	for _, k := range known {
		if k.Id == m.Id && k.ShareId == m.ShareId && k.Path == m.Path {
			return k.IsFile
		}
	}
	var st unix.Statx_t
	path := filepath.Join(sharesDir, m.ShareId, m.Path)
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC|unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &st)
	return err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR
}
