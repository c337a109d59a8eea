//go:build linux

package posix

import "golang.org/x/sys/unix"

// maxDepth bounds how far up an inode is looked for; names of one are at most PATH_MAX together.
const maxDepth = unix.PathMax / 2

// reopen opens a pinned inode that has no descriptor: from the nearest ancestor
// that has one, by the last names. ESTALE: what is there now is another inode.
func (t *inodeTable) reopen(n *inode) error {
	line, err := t.ancestry(n)
	if err != nil {
		return err
	}
	defer func() {
		for _, a := range line {
			t.put(a)
		}
	}()
	for i := len(line) - 1; i > 0; i-- {
		if err := t.reopenIn(line[i], line[i-1]); err != nil {
			return err
		}
	}
	return nil
}

// ancestry is n and what is above it, up to the first that is open. All are pinned.
func (t *inodeTable) ancestry(n *inode) (line []*inode, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		line = append(line, n)
		if n.fd >= 0 {
			break
		}
		if n = t.byID[n.parent]; n == nil || len(line) > maxDepth { // too deep: two moves made a circle
			return nil, unix.ESTALE
		}
	}
	for _, a := range line {
		a.uses++
	}
	return line, nil
}

// reopenIn opens n, found in dir when it was seen last.
func (t *inodeTable) reopenIn(dir, n *inode) error {
	t.mu.Lock()
	at, open, held := place{n.parent, n.name}, n.fd >= 0, dir.fd >= 0
	t.mu.Unlock()
	switch {
	case open: // by another request meanwhile
		return nil
	case at.dir != dir.id || !held: // moved meanwhile
		return unix.ESTALE
	}
	if err := t.budget.take(); err != nil {
		return err
	}
	fd, err := t.openSame(dir, n, at.name)
	if err != nil {
		t.budget.give()
		return err
	}
	t.mu.Lock()
	taken := n.fd < 0
	if taken {
		n.fd = fd
	}
	t.mu.Unlock()
	if !taken {
		unix.Close(fd)
		t.budget.give()
		return nil
	}
	t.budget.cache(n)
	return nil
}

// openSame opens a name and makes sure that it is n.
func (t *inodeTable) openSame(dir, n *inode, name string) (int, error) {
	fd, err := t.openName(dir, name)
	switch err {
	case nil:
	case unix.ENOENT, unix.ENOTDIR:
		return -1, unix.ESTALE
	default:
		return -1, err
	}
	st, err := statFD(fd)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	t.learnDevice(fd, st)
	t.mu.Lock()
	same := uint32(st.Mode)&unix.S_IFMT == n.kind && t.identify(n, t.keyOf(st))
	t.mu.Unlock()
	if !same {
		unix.Close(fd)
		return -1, unix.ESTALE
	}
	return fd, nil
}
