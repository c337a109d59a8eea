package ntfs

import (
	"encoding/binary"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// Flags of open.
const (
	openAccess   = 0o3
	openReadOnly = 0o0
	openExcl     = 0o200
	openTruncate = 0o1000
)

// Open implements wire.FileSystem. Only regular files are opened.
func (fs *FS) Open(id uint64, flags uint32, killSetID bool) (uint64, error) {
	n, err := fs.node(id)
	if err != nil {
		return 0, err
	}
	switch n.kind {
	case typeRegular:
	case typeDir:
		return 0, EISDIR
	case typeSymlink:
		return 0, ELOOP
	default:
		return 0, ENXIO
	}
	write := flags&openAccess != openReadOnly || flags&openTruncate != 0
	if write && fs.readOnly {
		return 0, EROFS
	}
	if err := fs.budget.takeHandle(); err != nil {
		return 0, err
	}
	fh, err := fs.openFile(n, write, flags&openTruncate != 0)
	if err != nil {
		fs.budget.handles.Add(-1)
		return 0, err
	}
	if killSetID && !fs.readOnly {
		fs.killSetID(id)
	}
	return fh, nil
}

// accesses are the rights to open a file with, the best first. Attributes are changed by a handle
// once the file has no name, but one who may not change them may read all the same.
func (fs *FS) accesses(write bool) []uint32 {
	access := uint32(windows.FILE_READ_DATA)
	if write {
		access |= windows.FILE_WRITE_DATA
	}
	if fs.readOnly {
		return []uint32{access}
	}
	return []uint32{access | writeMetadata, access}
}

func (fs *FS) openFile(n *node, write, truncate bool) (uint64, error) {
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	var err error
	for _, access := range fs.accesses(write) {
		var h windows.Handle
		var st Stat
		h, st, err = fs.open(n, opening{access: access, options: windows.FILE_NON_DIRECTORY_FILE})
		if err == EACCES {
			continue
		}
		if err != nil {
			return 0, err
		}
		if err = servable(&st); err == nil && truncate {
			defer fs.mine(place{dir: n})()
			err = setSize(n, h, 0)
		}
		if err != nil {
			windows.CloseHandle(h)
			return 0, err
		}
		return fs.addHandle(&handle{h: h, node: n, access: access}), nil
	}
	return 0, err
}

// Create implements wire.FileSystem.
func (fs *FS) Create(parent uint64, name string, by wire.Caller, flags, mode, umask uint32) (e wire.Entry, fh uint64, err error) {
	if err := fs.budget.takeHandle(); err != nil {
		return e, 0, err
	}
	access := windows.FILE_READ_DATA | windows.FILE_WRITE_DATA | uint32(writeMetadata)
	m := making{mode: typeRegular | mode&0o7777&^(umask&0o777), access: access, options: windows.FILE_NON_DIRECTORY_FILE}
	err = fs.make(parent, name, by, m, func(h windows.Handle, st *Stat, at place) (err error) {
		if e, err = fs.entry(h, st, at); err != nil {
			return err
		}
		n, err := fs.node(e.Node)
		if err == nil {
			fh = fs.addHandle(&handle{h: h, node: n, access: access})
		}
		return err
	})
	if err == nil {
		return e, fh, nil
	}
	fs.budget.handles.Add(-1)
	if err != EEXIST || flags&openExcl != 0 {
		return e, 0, err
	}
	if e, err = fs.Lookup(parent, name); err != nil {
		return e, 0, err
	}
	if fh, err = fs.Open(e.Node, flags, false); err != nil {
		fs.Forget(e.Node, 1)
		return e, 0, err
	}
	if flags&openTruncate != 0 {
		e.Attr.Size = 0
	}
	return e, fh, nil
}

// position is where a read or write is; WriteFile takes the offset -1 as the file's end.
func position(offset uint64) *windows.Overlapped {
	return &windows.Overlapped{Offset: uint32(offset), OffsetHigh: uint32(offset >> 32)}
}

// win32 is the errno of an error of Win32's.
func win32(err error) error {
	switch err {
	case nil:
		return nil
	case windows.ERROR_LOCK_VIOLATION:
		return EAGAIN
	case windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL:
		return ENOSPC
	case windows.ERROR_ACCESS_DENIED:
		return EBADF // the handle was not opened for it
	case windows.ERROR_NO_SYSTEM_RESOURCES, windows.ERROR_NOT_ENOUGH_MEMORY:
		return ENOMEM
	}
	return EIO
}

// Read implements wire.FileSystem.
func (fs *FS) Read(id, fh, offset uint64, buf []byte) (int, error) {
	h, err := fs.handle(fh, id)
	if err != nil {
		return 0, err
	}
	defer fs.putHandle(h)
	switch {
	case h.dir != nil:
		return 0, EISDIR
	case int64(offset) < 0:
		return 0, EINVAL
	}
	done := 0
	for done < len(buf) {
		var n uint32
		err := windows.ReadFile(h.h, buf[done:], &n, position(offset+uint64(done)))
		if err == windows.ERROR_HANDLE_EOF || err == nil && n == 0 {
			break
		}
		if err != nil && done == 0 {
			return 0, win32(err)
		}
		if err != nil {
			break
		}
		done += int(n)
	}
	return done, nil
}

// Write implements wire.FileSystem. A write of a file opened for appending goes to the end the file has now.
func (fs *FS) Write(id, fh uint64, w wire.Write) (int, error) {
	if fs.readOnly {
		return 0, EROFS
	}
	h, err := fs.handle(fh, id)
	if err != nil {
		return 0, err
	}
	defer fs.putHandle(h)
	switch {
	case h.dir != nil || h.access&windows.FILE_WRITE_DATA == 0:
		return 0, EBADF
	case int64(w.Offset) < 0:
		return 0, EFBIG
	}
	defer fs.mine(place{dir: h.node})()
	done := 0
	for done < len(w.Data) {
		at := w.Offset + uint64(done)
		if w.Append {
			at = ^uint64(0)
		}
		var n uint32
		err := windows.WriteFile(h.h, w.Data[done:], &n, position(at))
		if err != nil && done == 0 {
			return 0, win32(err)
		}
		if err != nil || n == 0 {
			break
		}
		done += int(n)
	}
	if w.KillSetID {
		fs.killSetID(id)
	}
	return done, nil
}

// Flush implements wire.FileSystem.
func (fs *FS) Flush(id, fh, owner uint64) error {
	h, err := fs.handle(fh, id)
	if err != nil {
		return err
	}
	defer fs.putHandle(h)
	fs.locks.Drop(h.node.file, owner)
	return nil
}

// Fsync implements wire.FileSystem. Windows makes a file durable only for who may write to it.
func (fs *FS) Fsync(id, fh uint64, _ bool) error {
	h, err := fs.handle(fh, id)
	if err != nil {
		return err
	}
	defer fs.putHandle(h)
	switch {
	case fs.readOnly:
		return nil // nothing of the guest's is to be written
	case h.access&windows.FILE_WRITE_DATA != 0:
		return flush(h.h)
	}
	err = fs.with(id, windows.FILE_WRITE_DATA, func(_ *node, h windows.Handle) error { return flush(h) })
	if err == EACCES {
		return nil // nor then
	}
	return err
}

// Flags of fallocate.
const fallocateKeepSize = 1

// Fallocate implements wire.FileSystem: room is made by making the file longer.
func (fs *FS) Fallocate(id, fh uint64, mode uint32, offset, length uint64) error {
	if fs.readOnly {
		return EROFS
	}
	h, err := fs.handle(fh, id)
	if err != nil {
		return err
	}
	defer fs.putHandle(h)
	end := offset + length
	switch {
	case h.access&windows.FILE_WRITE_DATA == 0:
		return EBADF
	case mode&^fallocateKeepSize != 0:
		return EOPNOTSUPP
	case length == 0 || int64(offset) < 0 || int64(length) < 0:
		return EINVAL
	case int64(end) < 0:
		return EFBIG
	}
	st, err := fs.stat(h.h)
	if err != nil || end <= st.Size && end <= st.Allocated {
		return err
	}
	if mode&fallocateKeepSize != 0 {
		return setInfo(h.h, fileAllocationInformation, binary.LittleEndian.AppendUint64(nil, max(end, st.Allocated))).Err()
	}
	return setSize(h.node, h.h, max(end, st.Size))
}
