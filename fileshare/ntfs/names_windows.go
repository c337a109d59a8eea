package ntfs

import (
	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// Lookup implements wire.FileSystem.
func (fs *FS) Lookup(parent uint64, name string) (wire.Entry, error) {
	coded, err := EncodeName(name)
	if err != nil {
		return wire.Entry{}, err
	}
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	dir, h, _, err := fs.dir(parent, 0)
	if err != nil {
		return wire.Entry{}, err
	}
	defer windows.CloseHandle(h)
	return fs.lookupAt(h, coded, place{dir, name})
}

func (fs *FS) lookupAt(dir windows.Handle, name []uint16, at place) (wire.Entry, error) {
	h, err := openAt(dir, name, opening{disposition: windows.FILE_OPEN})
	if err != nil {
		return wire.Entry{}, err
	}
	defer windows.CloseHandle(h)
	st, err := fs.stat(h)
	if err != nil {
		return wire.Entry{}, err
	}
	return fs.entry(h, &st, at)
}

// Relookup implements wire.FileSystem.
func (fs *FS) Relookup(id uint64) (e wire.Entry, err error) {
	err = fs.with(id, 0, func(n *node, h windows.Handle) error {
		st, err := fs.stat(h)
		if err != nil {
			return err
		}
		fs.mu.Lock()
		n.refs++
		if fs.nodes[n.id] != n { // forgotten meanwhile
			err = ESTALE
		}
		fs.mu.Unlock()
		e = fs.entryOf(n, h, &st)
		return err
	})
	return e, err
}

// making is a file that is being made.
type making struct {
	mode    uint32
	device  *Device
	text    string // of a link
	access  uint32
	options uint32
}

// make makes a name in a directory, with its owner and mode, and calls fn with it.
func (fs *FS) make(parent uint64, name string, by wire.Caller, m making, fn func(windows.Handle, *Stat, place) error) error {
	if fs.readOnly {
		return EROFS
	}
	coded, err := EncodeName(name)
	if err != nil {
		return err
	}
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	right := uint32(addFile)
	if m.mode&typeMask == typeDir {
		right = addSubdirectory
	}
	dir, d, st, err := fs.dir(parent, right)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(d)
	defer fs.mine(place{dir, name})()
	how := opening{access: m.access, disposition: windows.FILE_CREATE, options: m.options}
	if fs.hasEAs {
		how.eas = owned(&st, by, m).Encode()
	}
	h, err := openAt(d, coded, how)
	if err != nil {
		return err
	}
	var made Stat
	if err = makeSpecial(h, m); err == nil {
		made, err = fs.stat(h)
	}
	if err == nil {
		err = fn(h, &made, place{dir, name})
	} else {
		_ = dispose(h)
	}
	if err != nil || m.access&windows.FILE_READ_DATA == 0 {
		windows.CloseHandle(h)
	}
	return err
}

// owned are a new file's metadata. Below a directory with the set-group-id bit the group is the directory's.
func owned(dir *Stat, by wire.Caller, m making) Metadata {
	uid, gid, mode := by.UID, by.GID, m.mode
	if dir.Mode&0o2000 != 0 {
		gid = dir.GID
		if mode&typeMask == typeDir {
			mode |= 0o2000
		}
	}
	return Metadata{UID: &uid, GID: &gid, Mode: &mode, Device: m.device}
}

// makeSpecial makes a link or another special file of a new one.
func makeSpecial(h windows.Handle, m making) error {
	switch m.mode & typeMask {
	case typeRegular, typeDir:
		return nil
	}
	b, err := EncodeReparse(m.mode, m.text)
	if err != nil {
		return err
	}
	return putReparse(h, b)
}

// makeEntry makes a name that is not opened.
func (fs *FS) makeEntry(parent uint64, name string, by wire.Caller, m making) (e wire.Entry, err error) {
	m.access |= windows.DELETE
	err = fs.make(parent, name, by, m, func(h windows.Handle, st *Stat, at place) (err error) {
		e, err = fs.entry(h, st, at)
		return err
	})
	return e, err
}

// Mknod implements wire.FileSystem.
func (fs *FS) Mknod(parent uint64, name string, by wire.Caller, mode, umask, device uint32) (wire.Entry, error) {
	m := making{mode: mode &^ (umask & 0o777), options: windows.FILE_NON_DIRECTORY_FILE}
	switch mode & typeMask {
	case 0:
		m.mode |= typeRegular
	case typeRegular:
	case typeChar, typeBlock:
		if !fs.hasEAs { // which hold its numbers
			return wire.Entry{}, EPERM
		}
		m.device = &Device{Major: device >> 8 & 0xfff, Minor: device&0xff | device>>12&0xfff00}
		m.access = windows.FILE_WRITE_ATTRIBUTES
	case typeFIFO, typeSocket:
		m.access = windows.FILE_WRITE_ATTRIBUTES
	default:
		return wire.Entry{}, EINVAL
	}
	return fs.makeEntry(parent, name, by, m)
}

// Mkdir implements wire.FileSystem.
func (fs *FS) Mkdir(parent uint64, name string, by wire.Caller, mode, umask uint32) (wire.Entry, error) {
	return fs.makeEntry(parent, name, by, making{mode: typeDir | mode&0o7777&^(umask&0o777), options: windows.FILE_DIRECTORY_FILE})
}

// Symlink implements wire.FileSystem. The link is WSL's, whose text may be anything.
func (fs *FS) Symlink(parent uint64, name string, by wire.Caller, text string) (wire.Entry, error) {
	if _, err := EncodeReparse(typeSymlink, text); err != nil {
		return wire.Entry{}, err
	}
	m := making{mode: typeSymlink | 0o777, text: text, access: windows.FILE_WRITE_ATTRIBUTES, options: windows.FILE_NON_DIRECTORY_FILE}
	return fs.makeEntry(parent, name, by, m)
}

// Link implements wire.FileSystem.
func (fs *FS) Link(id, parent uint64, name string) (wire.Entry, error) {
	if fs.readOnly {
		return wire.Entry{}, EROFS
	}
	coded, err := EncodeName(name)
	if err != nil {
		return wire.Entry{}, err
	}
	n, err := fs.node(id)
	if err != nil {
		return wire.Entry{}, err
	}
	if n.kind == typeDir {
		return wire.Entry{}, EPERM
	}
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	dir, d, _, err := fs.dir(parent, addFile)
	if err != nil {
		return wire.Entry{}, err
	}
	defer windows.CloseHandle(d)
	defer fs.mine(place{dir, name})()
	h, _, err := fs.open(n, opening{access: windows.FILE_WRITE_ATTRIBUTES})
	if err != nil {
		return wire.Entry{}, err
	}
	defer windows.CloseHandle(h)
	if err := setInfo(h, windows.FileLinkInformation, linkOrRename(0, d, coded)).Err(); err != nil {
		return wire.Entry{}, err
	}
	st, err := fs.stat(h)
	if err != nil {
		return wire.Entry{}, err
	}
	return fs.entry(h, &st, place{dir, name})
}
