//go:build windows && wine

package ntfs

import (
	"encoding/binary"
	"slices"
	"sync"

	"golang.org/x/sys/windows"
)

// Wine has neither extended attributes nor WSL's reparse points. In the build for Wine
// they stand in this process's memory, by the files' ids, in the same bytes: what
// makes and reads those runs there as on Windows. They go with the process.

type special struct{ eas, reparse []byte }

var standIn = struct {
	mu    sync.Mutex
	files map[uint64]special // guarded by mu
}{files: map[uint64]special{}}

func idOf(h windows.Handle) uint64 {
	b := make([]byte, 8)
	_ = queryInfo(h, fileInternalInformation, b) // 0: a file that has nothing special
	return binary.LittleEndian.Uint64(b)
}

func specialOf(id uint64) special {
	standIn.mu.Lock()
	defer standIn.mu.Unlock()
	return standIn.files[id]
}

func changeSpecial(h windows.Handle, fn func(*special) error) error {
	id := idOf(h)
	standIn.mu.Lock()
	defer standIn.mu.Unlock()
	s := standIn.files[id]
	err := fn(&s)
	standIn.files[id] = s
	return err
}

func volumeHasEAs(windows.Handle) bool { return true }

// opened: a new file has what it was made with, and nothing of one that had its id before.
func opened(h windows.Handle, how opening) {
	if how.disposition == windows.FILE_CREATE {
		_ = changeSpecial(h, func(s *special) error { *s = special{eas: how.eas}; return nil })
	}
}

// disposed: another file may come to have the id.
func disposed(h windows.Handle) {
	b := make([]byte, 24)
	if queryInfo(h, fileStandardInformation, b).Err() != nil || binary.LittleEndian.Uint32(b[16:]) > 0 {
		return // it has other names
	}
	standIn.mu.Lock()
	defer standIn.mu.Unlock()
	delete(standIn.files, idOf(h))
}

func listed(id uint64, attributes uint32, tag Tag) (uint32, Tag) {
	return withReparse(specialOf(id), attributes, tag)
}

func withReparse(s special, attributes uint32, tag Tag) (uint32, Tag) {
	if len(s.reparse) < 4 {
		return attributes, tag
	}
	return attributes | attributeReparse, Tag(binary.LittleEndian.Uint32(s.reparse))
}

func attributeTag(h windows.Handle) (uint32, Tag, error) {
	b := make([]byte, 8)
	err := queryInfo(h, fileAttributeTagInformation, b).Err()
	attributes, tag := withReparse(specialOf(idOf(h)), binary.LittleEndian.Uint32(b), Tag(binary.LittleEndian.Uint32(b[4:])))
	return attributes, tag, err
}

func queryEAs(h windows.Handle) ([]byte, error) { return specialOf(idOf(h)).eas, nil }

// setEAs sets those of a list; one without a value goes.
func setEAs(h windows.Handle, list []byte) error {
	set, err := decodeEAs(list)
	if err != nil {
		return err
	}
	return changeSpecial(h, func(s *special) error {
		all, err := decodeEAs(s.eas)
		for _, a := range set {
			all = slices.DeleteFunc(all, func(b ea) bool { return sameEA(a.name, b.name) })
			if len(a.value) > 0 {
				all = append(all, a)
			}
		}
		s.eas = encodeEAs(all)
		return err
	})
}

func getReparse(h windows.Handle) ([]byte, error) {
	if b := specialOf(idOf(h)).reparse; b != nil {
		return b, nil
	}
	return nil, EINVAL
}

func putReparse(h windows.Handle, b []byte) error {
	return changeSpecial(h, func(s *special) error { s.reparse = slices.Clone(b); return nil })
}
