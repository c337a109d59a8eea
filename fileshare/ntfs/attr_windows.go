package ntfs

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// writeMetadata are the rights to change what Linux keeps in an inode.
const writeMetadata = windows.FILE_WRITE_EA | windows.FILE_WRITE_ATTRIBUTES

// told is what the guest gets of an open file. A link's size is its text's.
func (fs *FS) told(h windows.Handle, st *Stat) wire.Attr {
	a := attr(st)
	if st.Mode&typeMask == typeSymlink {
		if text, err := readLink(h); err == nil {
			a.Size = uint64(len(text))
		}
	}
	return a
}

// entry counts a reference to an open file's node, and tells of it.
func (fs *FS) entry(h windows.Handle, st *Stat, at place) (wire.Entry, error) {
	n, err := fs.adopt(st, at)
	if err != nil {
		return wire.Entry{}, err
	}
	return fs.entryOf(n, h, st), nil
}

func (fs *FS) entryOf(n *node, h windows.Handle, st *Stat) wire.Entry {
	e := wire.Entry{Node: n.id, Attr: fs.told(h, st), AttrValid: cacheTime}
	if n.kind != typeSymlink {
		e.NameValid = cacheTime
	}
	return e
}

// GetAttr implements wire.FileSystem.
func (fs *FS) GetAttr(id uint64) (a wire.Attr, err error) {
	err = fs.with(id, 0, func(_ *node, h windows.Handle) error {
		st, err := fs.stat(h)
		a = fs.told(h, &st)
		return err
	})
	return a, err
}

// SetAttr implements wire.FileSystem.
func (fs *FS) SetAttr(id uint64, set *wire.SetAttr) (a wire.Attr, err error) {
	if fs.readOnly {
		return a, EROFS
	}
	access := uint32(writeMetadata)
	if set.Size != nil {
		access |= windows.FILE_WRITE_DATA
	}
	err = fs.with(id, access, func(n *node, h windows.Handle) error {
		defer fs.mine(place{dir: n})()
		st, err := fs.stat(h)
		if err == nil {
			err = fs.setMetadata(h, &st, set)
		}
		if err == nil && set.Size != nil {
			err = setSize(n, h, *set.Size)
		}
		if err == nil {
			err = setTimes(h, set)
		}
		if err != nil {
			return err
		}
		st, err = fs.stat(h)
		a = fs.told(h, &st)
		return err
	})
	return a, err
}

// setMetadata sets mode and owner.
func (fs *FS) setMetadata(h windows.Handle, st *Stat, set *wire.SetAttr) error {
	mode := st.Mode
	if set.Mode != nil {
		if mode&typeMask == typeSymlink {
			return EOPNOTSUPP
		}
		mode = mode&typeMask | *set.Mode&0o7777
	}
	if set.KillSetID {
		mode = withoutSetID(mode)
	}
	var m Metadata
	if mode != st.Mode {
		m.Mode = &mode
	}
	if set.UID != nil && *set.UID != st.UID {
		m.UID = set.UID
	}
	if set.GID != nil && *set.GID != st.GID {
		m.GID = set.GID
	}
	if err := fs.store(h, m); err != nil {
		return err
	}
	if set.Mode != nil && mode&0o222 != 0 && st.Attributes&attributeReadOnly != 0 {
		return clearReadOnly(h, st.Attributes)
	}
	return nil
}

// clearReadOnly lets a file be written to that a program of Windows has made
// read-only, and the guest writable: Windows refuses it to everybody.
func clearReadOnly(h windows.Handle, attributes uint32) error {
	b := make([]byte, 40) // FILE_BASIC_INFORMATION; times of 0 stay
	binary.LittleEndian.PutUint32(b[32:], attributes&^attributeReadOnly|windows.FILE_ATTRIBUTE_NORMAL)
	return setInfo(h, windows.FileBasicInformation, b).Err()
}

// store writes metadata. EPERM: the volume cannot keep them.
func (fs *FS) store(h windows.Handle, m Metadata) error {
	switch {
	case m == Metadata{}:
		return nil
	case !fs.hasEAs:
		return EPERM
	}
	return setEAs(h, m.Encode())
}

// withoutSetID is a mode after a write by who may not keep its set-id bits.
func withoutSetID(mode uint32) uint32 {
	if mode&typeMask != typeRegular {
		return mode
	}
	clean := mode &^ 0o4000
	if mode&0o010 != 0 {
		clean &^= 0o2000
	}
	return clean
}

// killSetID clears the set-id bits of an open file.
func (fs *FS) killSetID(id uint64) {
	if !fs.hasEAs {
		return // and so it has none
	}
	_ = fs.with(id, writeMetadata, func(_ *node, h windows.Handle) error {
		st, err := fs.stat(h)
		if mode := withoutSetID(st.Mode); err == nil && mode != st.Mode {
			err = fs.store(h, Metadata{Mode: &mode})
		}
		return err
	})
}

func setSize(n *node, h windows.Handle, size uint64) error {
	switch {
	case n.kind != typeRegular:
		return EINVAL
	case int64(size) < 0:
		return EFBIG
	}
	return setInfo(h, windows.FileEndOfFileInformation, binary.LittleEndian.AppendUint64(nil, size)).Err()
}

func setTimes(h windows.Handle, set *wire.SetAttr) error {
	if set.Access == nil && set.Modify == nil {
		return nil
	}
	pick := func(t *wire.Time, now bool) uint64 {
		switch {
		case t == nil:
			return 0 // stays
		case now:
			return FileTime(time.Now())
		}
		return FileTime(time.Unix(t.Sec, int64(t.Nsec%1e9)))
	}
	b := make([]byte, 40) // FILE_BASIC_INFORMATION
	binary.LittleEndian.PutUint64(b[8:], pick(set.Access, set.AccessNow))
	binary.LittleEndian.PutUint64(b[16:], pick(set.Modify, set.ModifyNow))
	return setInfo(h, windows.FileBasicInformation, b).Err()
}

// Readlink implements wire.FileSystem: a link's text, unread.
func (fs *FS) Readlink(id uint64) (text string, err error) {
	err = fs.with(id, 0, func(n *node, h windows.Handle) (err error) {
		if n.kind != typeSymlink {
			return EINVAL
		}
		text, err = readLink(h)
		return err
	})
	return text, err
}

// StatFS implements wire.FileSystem. NTFS makes room for files as it needs it, so their number is told as that of the units.
func (fs *FS) StatFS(id uint64) (s wire.StatFS, err error) {
	if _, err := fs.node(id); err != nil {
		return s, err
	}
	b := make([]byte, 32) // FILE_FS_FULL_SIZE_INFORMATION
	if err := queryVolume(fs.root, fsFullSizeInformation, b); err != nil {
		return s, err
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	unit := binary.LittleEndian.Uint32(b[24:]) * binary.LittleEndian.Uint32(b[28:])
	return wire.StatFS{
		Blocks: u64(0), Available: u64(8), Free: u64(16), Files: u64(0), FilesFree: u64(16), BlockSize: unit, NameLength: maxName,
	}, nil
}

// Access implements wire.FileSystem.
func (fs *FS) Access(_ uint64, mask uint32) error {
	if fs.readOnly && mask&2 != 0 {
		return EROFS
	}
	return nil
}
