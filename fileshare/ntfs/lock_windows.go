package ntfs

import (
	"context"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// Locks hold among the containers that have the share. Windows' own are
// mandatory: one taken for a guest's advisory lock would keep the guest's other
// programs, and the node's, from reading what Linux lets them read.

func (fs *FS) table(l *wire.Lock) *LockTable {
	if l.Flock {
		return &fs.flocks
	}
	return &fs.locks
}

// locked finds the file that a lock is for. It must be open, so that its locks end.
func (fs *FS) locked(id uint64) (*node, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.nodes[id]
	switch {
	case n == nil:
		return nil, ESTALE
	case len(n.opens) == 0:
		return nil, EBADF
	}
	return n, nil
}

// GetLock implements wire.FileSystem.
func (fs *FS) GetLock(id uint64, l wire.Lock) (wire.Lock, error) {
	n, err := fs.locked(id)
	if err != nil {
		return l, err
	}
	found, ok := fs.table(&l).Test(n.file, Lock{Owner: l.Owner, Start: l.Start, End: l.End, Write: l.Type == wire.WriteLock})
	if !ok {
		return wire.Lock{Type: wire.Unlock}, nil
	}
	out := wire.Lock{Owner: found.Owner, Start: found.Start, End: found.End, Type: wire.ReadLock, Flock: l.Flock}
	if found.Write {
		out.Type = wire.WriteLock
	}
	return out, nil
}

// SetLock implements wire.FileSystem.
func (fs *FS) SetLock(cancel <-chan struct{}, id uint64, l wire.Lock, wait bool) error {
	n, err := fs.locked(id)
	if err != nil {
		return err
	}
	table, lock := fs.table(&l), Lock{Owner: l.Owner, Start: l.Start, End: l.End, Write: l.Type == wire.WriteLock}
	switch {
	case l.Type == wire.Unlock:
		table.Unlock(n.file, l.Owner, l.Start, l.End)
		return nil
	case !wait:
		err = table.Set(n.file, lock)
	default:
		err = fs.waitLock(cancel, table, n, lock)
	}
	if err == nil {
		if _, gone := fs.locked(id); gone != nil { // closed meanwhile: nobody would take it away
			table.Drop(n.file, l.Owner)
			return gone
		}
	}
	return err
}

func (fs *FS) waitLock(cancel <-chan struct{}, table *LockTable, n *node, l Lock) error {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	go func() {
		select {
		case <-cancel:
		case <-fs.stopped:
		case <-ctx.Done():
		}
		end()
	}()
	err := table.Wait(ctx, n.file, l)
	if err == context.Canceled {
		return EINTR
	}
	return err
}
