package fileshare

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/fileshare/session"
)

// guestMountType is what the node's table of mounts says of a guest's mount.
const guestMountType = "fuse.paddock"

// exportSource names a guest's mount in the node's table of mounts, which is
// the record of what has to be unmounted.
func exportSource(dir, id string) string { return "paddock:" + dir + ":" + id }

// guestMount is a FUSE file system that is not attached yet.
type guestMount struct{ device, mount int }

func newGuestMount(source string, isFile bool) (_ *guestMount, err error) {
	m := &guestMount{device: -1, mount: -1}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.device, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
		return nil, fmt.Errorf("open /dev/fuse (is the node's fuse module loaded?): %w", err)
	}
	fs, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open a FUSE file system: %w", err)
	}
	defer unix.Close(fs)
	rootMode := unix.S_IFDIR
	if isFile {
		rootMode = unix.S_IFREG
	}
	for _, option := range [][2]string{
		{"source", source}, {"subtype", "paddock"}, {"fd", strconv.Itoa(m.device)}, {"rootmode", strconv.FormatInt(int64(rootMode), 8)},
		{"user_id", "0"}, {"group_id", "0"}, {"max_read", strconv.Itoa(session.MaxWrite)},
	} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return nil, fmt.Errorf("set %s of a FUSE file system: %w", option[0], err)
		}
	}
	for _, flag := range []string{"allow_other", "default_permissions"} {
		if err := unix.FsconfigSetFlag(fs, flag); err != nil {
			return nil, fmt.Errorf("set %s of a FUSE file system: %w", flag, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("make a FUSE file system: %w", err)
	}
	m.mount, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, fmt.Errorf("mount a FUSE file system: %w", err)
	}
	return m, nil
}

// attach makes the mount seen at target.
func (m *guestMount) attach(target int) error {
	if err := unix.MoveMount(m.mount, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach the mount: %w", err)
	}
	return nil
}

// close lets go of the descriptors; an attached mount stays.
func (m *guestMount) close() {
	for _, fd := range []int{m.mount, m.device} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// exportMounts lists the node's mounts of a sandbox's guest whose server has its
// files in dir; id "" means all.
func exportMounts(dir, id string) ([]*mountinfo.Info, error) {
	prefix := exportSource(dir, id)
	found, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		mine := m.FSType == guestMountType && (m.Source == prefix || id == "" && strings.HasPrefix(m.Source, prefix))
		return !mine, false
	})
	if err != nil {
		return nil, fmt.Errorf("list the node's mounts: %w", err)
	}
	return found, nil
}

// unmountExports takes guests' mounts off the node, wherever they have spread to. None is fine.
func unmountExports(dir, id string) error {
	const rounds = 10 // folders may be renamed under our hands
	var failed error
	for range rounds {
		found, err := exportMounts(dir, id)
		if err != nil || len(found) == 0 {
			return err
		}
		failed = nil
		for _, m := range found { // outer ones first: inner ones go with them, without a look-up by the guest
			failed = errors.Join(failed, unmountByID(m))
		}
	}
	if failed == nil {
		failed = errors.New("another mount covers one: unmount that first (findmnt -t " + guestMountType + ")")
	}
	return fmt.Errorf("unmount a guest's mounts from the node: %w", failed)
}

// unmountByID unmounts that mount and no other: a guest may change the folders above it at any time.
func unmountByID(m *mountinfo.Info) error {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	fd, err := openBeneath(root, strings.TrimPrefix(m.Mountpoint, "/"))
	if err == unix.ENOENT {
		return nil // renamed or unmounted since: the next round tells
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", m.Mountpoint, err)
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st); err != nil {
		return fmt.Errorf("stat %s: %w", m.Mountpoint, err)
	}
	if st.Mnt_id != uint64(m.ID) {
		return nil // as above, or covered by another mount
	}
	err = unix.Unmount("/proc/self/fd/"+strconv.Itoa(fd), unix.MNT_DETACH)
	if err != nil && err != unix.EINVAL { // EINVAL: unmounted since
		return fmt.Errorf("unmount %s: %w", m.Mountpoint, err)
	}
	return nil
}
