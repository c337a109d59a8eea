package ntfs

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/windows"
)

// Flags of FileDispositionInformationEx and FileRenameInformationEx (ntifs.h).
const (
	dispositionDelete         = 0x1
	dispositionPOSIX          = 0x2
	dispositionIgnoreReadOnly = 0x10
	renameReplace             = 0x1
	renamePOSIX               = 0x2
	renameIgnoreReadOnly      = 0x40
)

// Flags of renameat2.
const renameNoReplace = 1

// dispose deletes an open file: its name is gone at once, whoever has it open. Where that
// is not known (before Windows 10 1709, other file systems than NTFS) it goes with the last handle.
func dispose(h windows.Handle) error {
	flags := uint32(dispositionDelete | dispositionPOSIX | dispositionIgnoreReadOnly)
	s := setInfo(h, windows.FileDispositionInformationEx, binary.LittleEndian.AppendUint32(nil, flags))
	if isUnknown(s) {
		s = setInfo(h, windows.FileDispositionInformation, []byte{1})
	}
	if err := s.Err(); err != nil {
		return err
	}
	disposed(h)
	return nil
}

// Unlink implements wire.FileSystem.
func (fs *FS) Unlink(parent uint64, name string) error { return fs.remove(parent, name, false) }

// Rmdir implements wire.FileSystem.
func (fs *FS) Rmdir(parent uint64, name string) error { return fs.remove(parent, name, true) }

func (fs *FS) remove(parent uint64, name string, dir bool) error {
	if fs.readOnly {
		return EROFS
	}
	coded, err := EncodeName(name)
	if err != nil {
		return err
	}
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	in, d, _, err := fs.dir(parent, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(d)
	defer fs.mine(place{in, name})()
	return fs.removeAt(d, coded, place{in, name}, dir)
}

// removeAt deletes a name that is, or is not, a directory's.
func (fs *FS) removeAt(d windows.Handle, name []uint16, at place, dir bool) error {
	h, err := openAt(d, name, opening{access: windows.DELETE, disposition: windows.FILE_OPEN})
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	st, err := fs.stat(h)
	isDir := st.Mode&typeMask == typeDir
	switch {
	case err != nil:
		return err
	case dir && !isDir:
		return ENOTDIR
	case !dir && isDir:
		return EISDIR
	}
	if err := dispose(h); err != nil {
		return err
	}
	fs.gone(st.FileID, at)
	return nil
}

// gone notes that a file has a name less.
func (fs *FS) gone(file uint64, at place) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n := fs.byFile[file]; n != nil {
		fs.dropPlace(n, at)
	}
}

// Rename implements wire.FileSystem. Exchanging names is not known to Windows.
func (fs *FS) Rename(parent uint64, name string, newParent uint64, newName string, flags uint32) error {
	switch {
	case fs.readOnly:
		return EROFS
	case flags&^renameNoReplace != 0:
		return EINVAL
	}
	from, err := EncodeName(name)
	if err != nil {
		return err
	}
	to, err := EncodeName(newName)
	if err != nil {
		return err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	oldDir, od, _, err := fs.dir(parent, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(od)
	newDir, nd, _, err := fs.dir(newParent, addFile|addSubdirectory)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(nd)
	h, err := openAt(od, from, opening{access: windows.DELETE, disposition: windows.FILE_OPEN})
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	r := renaming{h: h, dir: nd, name: to, from: place{oldDir, name}, to: place{newDir, newName}, noReplace: flags&renameNoReplace != 0}
	defer fs.mine(r.from, r.to)()
	return fs.rename(&r)
}

// renaming is a rename whose files are open.
type renaming struct {
	h, dir    windows.Handle
	name      []uint16
	from, to  place
	noReplace bool
}

func (fs *FS) rename(r *renaming) error {
	st, err := fs.stat(r.h)
	if err != nil {
		return err
	}
	done, err := fs.clear(r, &st)
	if done || err != nil {
		return err
	}
	flags := uint32(renamePOSIX | renameIgnoreReadOnly)
	if !r.noReplace {
		flags |= renameReplace
	}
	for pause := time.Millisecond; ; pause *= 2 {
		err = moveTo(r.h, flags, r.dir, r.name)
		if err != EACCES || st.Mode&typeMask != typeDir || pause > renamePatience {
			break
		}
		time.Sleep(pause)
	}
	if err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n := fs.byFile[st.FileID]; n != nil {
		fs.dropPlace(n, r.from)
		fs.setPlace(n, r.to)
	}
	return nil
}

// renamePatience is the longest pause between tries to rename a directory. Windows refuses it while
// anything below is open, as it may be for another request that is at work.
const renamePatience = 32 * time.Millisecond

func moveTo(h windows.Handle, flags uint32, dir windows.Handle, name []uint16) error {
	s := setInfo(h, fileRenameInformationEx, linkOrRename(flags, dir, name))
	if isUnknown(s) { // its first byte is ReplaceIfExists
		s = setInfo(h, windows.FileRenameInformation, linkOrRename(flags&renameReplace, dir, name))
	}
	return s.Err()
}

// clear sees to what has the new name already, by Linux' rules. Windows
// replaces files; an empty directory is removed first. done: there is nothing to rename.
func (fs *FS) clear(r *renaming, st *Stat) (done bool, err error) {
	h, err := openAt(r.dir, r.name, opening{disposition: windows.FILE_OPEN})
	if err == ENOENT {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	old, err := fs.stat(h)
	windows.CloseHandle(h)
	if err != nil {
		return false, err
	}
	isDir, wasDir := st.Mode&typeMask == typeDir, old.Mode&typeMask == typeDir
	switch {
	case old.FileID == st.FileID: // two names of one file stay; one name in other letters becomes the new one
		return st.Links > 1 && !isDir || r.from == r.to, nil
	case r.noReplace:
		return false, EEXIST
	case isDir && !wasDir:
		return false, ENOTDIR
	case !isDir && wasDir:
		return false, EISDIR
	case isDir:
		return false, fs.removeAt(r.dir, r.name, r.to, true)
	}
	fs.gone(old.FileID, r.to)
	return false, nil
}
