package fileshare

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// target is the place on the node that a guest's mount will cover.
type target struct {
	fd           int // O_PATH
	root, parent fileID
	name         string // in parent; "" for the share's root
}

func (t *target) close() { unix.Close(t.fd) }

// openTarget finds the place handle by handle: no link that a guest may have
// put in the way is followed, and nothing outside the share is reached.
func openTarget(e Export) (_ *target, err error) {
	root, err := unix.Open(e.HostPath, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open host path: %w", err)
	}
	t := &target{fd: root}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.root, err = fileIDOf(root); err != nil {
		return nil, fmt.Errorf("stat the host path: %w", err)
	}
	if e.Path != "" {
		if err := t.descend(e.Path); err != nil {
			return nil, err
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil {
		return nil, fmt.Errorf("stat the mount point: %w", err)
	}
	if isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR; isDir == e.IsFile {
		return nil, errors.New("a file cannot be mounted on a folder, nor a folder on a file")
	}
	return t, nil
}

func (t *target) descend(below string) error {
	dir, name := path.Split(below)
	parent, err := openBeneath(t.fd, path.Clean("./"+dir))
	if err != nil {
		return fmt.Errorf("open the folder of the mount point: %w", err)
	}
	defer unix.Close(parent)
	if t.parent, err = fileIDOf(parent); err != nil {
		return fmt.Errorf("stat the folder of the mount point: %w", err)
	}
	fd, err := openBeneath(parent, name)
	if err != nil {
		return fmt.Errorf("open the mount point: %w", err)
	}
	unix.Close(t.fd)
	t.fd, t.name = fd, name
	return nil
}

func openBeneath(dir int, name string) (int, error) {
	how := &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(dir, name, how)
		if err == unix.EINTR || err == unix.EAGAIN { // EAGAIN: a rename ran beside the look-up
			continue
		}
		return fd, err
	}
}
