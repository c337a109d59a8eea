//go:build !wine

package ntfs

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/windows"
)

// What Wine has not: see special_wine.go.

var ntFsControlFile = ntdll.NewProc("NtFsControlFile")

func volumeHasEAs(h windows.Handle) bool {
	b := make([]byte, 12+2*64) // FILE_FS_ATTRIBUTE_INFORMATION, and the file system's name
	return queryVolume(h, fsAttributeInformation, b) == nil && binary.LittleEndian.Uint32(b)&supportsEAs != 0
}

// attributeTag is an open file's attributes, and the tag of its reparse point.
func attributeTag(h windows.Handle) (uint32, Tag, error) {
	b := make([]byte, 8)
	err := queryInfo(h, fileAttributeTagInformation, b).Err()
	return binary.LittleEndian.Uint32(b), Tag(binary.LittleEndian.Uint32(b[4:])), err
}

// opened, disposed and listed are told what was opened and deleted, and what is in a directory's list.
func opened(windows.Handle, opening) {}

func disposed(windows.Handle) {}

func listed(_ uint64, attributes uint32, tag Tag) (uint32, Tag) { return attributes, tag }

// maxEAs bounds all attributes of a file, in bytes: NTFS' own bound.
const maxEAs = 64 << 10

// queryEAs reads all extended attributes of a file.
func queryEAs(h windows.Handle) ([]byte, error) {
	b := make([]byte, maxEAs+4096)
	var iosb windows.IO_STATUS_BLOCK
	s := statusOf(windows.NtQueryEaFile(h, &iosb, &b[0], uint32(len(b)), false, nil, 0, nil, true))
	switch s {
	case statusNoEAs, statusNoMoreEAs, statusEAsNotSupported, statusNotImplemented:
		return nil, nil
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	return b[:min(int(iosb.Information), len(b))], nil
}

func setEAs(h windows.Handle, list []byte) error {
	var iosb windows.IO_STATUS_BLOCK
	return errOf(windows.NtSetEaFile(h, &iosb, &list[0], uint32(len(list))))
}

// control asks a file system for something (FSCTL).
func control(h windows.Handle, code uint32, in, out []byte) (int, error) {
	var iosb windows.IO_STATUS_BLOCK
	r, _, _ := ntFsControlFile.Call(uintptr(h), 0, 0, 0, uintptr(unsafe.Pointer(&iosb)), uintptr(code),
		uintptr(unsafe.Pointer(unsafe.SliceData(in))), uintptr(len(in)), uintptr(unsafe.Pointer(unsafe.SliceData(out))), uintptr(len(out)))
	return int(iosb.Information), Status(r).Err()
}

// getReparse reads an open file's reparse point.
func getReparse(h windows.Handle) ([]byte, error) {
	b := make([]byte, windows.MAXIMUM_REPARSE_DATA_BUFFER_SIZE)
	n, err := control(h, windows.FSCTL_GET_REPARSE_POINT, nil, b)
	return b[:min(n, len(b))], err
}

// putReparse makes an open file a reparse point.
func putReparse(h windows.Handle, b []byte) error {
	_, err := control(h, windows.FSCTL_SET_REPARSE_POINT, b, nil)
	return err
}
