package ntfs

import "golang.org/x/sys/windows"

// GetXattr implements wire.FileSystem.
func (fs *FS) GetXattr(id uint64, name string) (value []byte, err error) {
	err = fs.xattrs(id, func(all []byte) (err error) {
		value, err = DecodeXattr(all, name)
		return err
	})
	return value, err
}

// ListXattr implements wire.FileSystem.
func (fs *FS) ListXattr(id uint64) (names []string, err error) {
	err = fs.xattrs(id, func(all []byte) (err error) {
		names, err = ListXattrs(all)
		return err
	})
	return names, err
}

func (fs *FS) xattrs(id uint64, fn func(all []byte) error) error {
	if !fs.hasEAs {
		return EOPNOTSUPP
	}
	return fs.with(id, 0, func(_ *node, h windows.Handle) error {
		all, err := queryEAs(h)
		if err != nil {
			return err
		}
		return fn(all)
	})
}

// Flags of setxattr.
const (
	xattrCreate  = 1
	xattrReplace = 2
)

// SetXattr implements wire.FileSystem. ACLs are refused, as nothing here would heed them.
func (fs *FS) SetXattr(id uint64, name string, value []byte, flags uint32) error {
	if value == nil {
		value = []byte{}
	}
	return fs.setXattr(id, name, value, flags)
}

// RemoveXattr implements wire.FileSystem.
func (fs *FS) RemoveXattr(id uint64, name string) error {
	return fs.setXattr(id, name, nil, xattrReplace)
}

func (fs *FS) setXattr(id uint64, name string, value []byte, flags uint32) error {
	switch {
	case fs.readOnly:
		return EROFS
	case !fs.hasEAs || name == "system.posix_acl_access" || name == "system.posix_acl_default":
		return EOPNOTSUPP
	}
	list, err := EncodeXattr(name, value)
	if err != nil {
		return err
	}
	return fs.with(id, writeMetadata, func(n *node, h windows.Handle) error {
		defer fs.mine(place{dir: n})()
		if flags&(xattrCreate|xattrReplace) != 0 {
			all, err := queryEAs(h)
			if err != nil {
				return err
			}
			switch _, err := DecodeXattr(all, name); {
			case err == nil && flags&xattrCreate != 0:
				return EEXIST
			case err != nil && flags&xattrReplace != 0:
				return err
			}
		}
		return setEAs(h, list)
	})
}
