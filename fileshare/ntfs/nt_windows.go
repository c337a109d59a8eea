package ntfs

import (
	"encoding/binary"
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	ntdll                       = windows.NewLazySystemDLL("ntdll.dll")
	ntQueryDirectoryFile        = ntdll.NewProc("NtQueryDirectoryFile")
	ntQueryVolumeInfo           = ntdll.NewProc("NtQueryVolumeInformationFile")
	ntFlushBuffersFile          = ntdll.NewProc("NtFlushBuffersFile")
	shareAll             uint32 = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
)

// Classes of information that x/sys does not name (ntifs.h, wdm.h).
const (
	fileIDBothDirectoryInformation = 37
	fileAllocationInformation      = 19
	fileRenameInformationEx        = 65
	fileStandardInformation        = 5
	fileInternalInformation        = 6
	fileAttributeTagInformation    = 35
	fileStatLxInformation          = 70
	fsAttributeInformation         = 5
	fsFullSizeInformation          = 7
	supportsEAs                    = 0x00800000 // FILE_SUPPORTS_EXTENDED_ATTRIBUTES
)

// Rights to a directory, which x/sys names as those to a file (winnt.h).
const (
	addFile         = 0x2
	addSubdirectory = 0x4
)

// Statuses that are more than errors here.
const (
	statusNoMoreFiles          Status = 0x80000006
	statusNoMoreEAs            Status = 0x80000012
	statusBufferOverflow       Status = 0x80000005
	statusEndOfFile            Status = 0xC0000011
	statusNoSuchFile           Status = 0xC000000F
	statusInvalidInfoClass     Status = 0xC0000003
	statusNotImplemented       Status = 0xC0000002
	statusInvalidParameter     Status = 0xC000000D
	statusNotSupported         Status = 0xC00000BB
	statusInvalidDeviceRequest Status = 0xC0000010
	statusAccessDenied         Status = 0xC0000022
	statusNoEAs                Status = 0xC0000052
	statusEAsNotSupported      Status = 0xC000004F
	statusNameCollision        Status = 0xC0000035
)

// statusOf is the status of what x/sys' calls return.
func statusOf(err error) Status {
	var s windows.NTStatus
	if errors.As(err, &s) {
		return Status(s)
	}
	return 0
}

func errOf(err error) error { return statusOf(err).Err() }

// opening says how a file is opened. Its attributes can be read in any case.
type opening struct {
	access, disposition, options uint32
	eas                          []byte
	overlapped                   bool
}

// openAt opens one name below a directory's handle; no name opens the handle's own file anew.
// A reparse point is opened as what it is. Every name comes from EncodeName and is
// a single component, so nothing here leaves a directory.
//
// OBJ_DONT_REPARSE has Windows refuse what FILE_OPEN_REPARSE_POINT does not cover: that
// dir itself has become a junction since it was opened. Names are compared as
// the directory is set to: without the flag OBJ_CASE_INSENSITIVE.
func openAt(dir windows.Handle, name []uint16, how opening) (windows.Handle, error) {
	h, s := open(dir, name, how)
	return h, s.Err()
}

func open(dir windows.Handle, name []uint16, how opening) (windows.Handle, Status) {
	text := windows.NTUnicodeString{Length: uint16(2 * len(name)), MaximumLength: uint16(2 * len(name))}
	if len(name) > 0 {
		text.Buffer = &name[0]
	}
	oa := windows.OBJECT_ATTRIBUTES{RootDirectory: dir, ObjectName: &text, Attributes: windows.OBJ_DONT_REPARSE}
	oa.Length = uint32(unsafe.Sizeof(oa))
	if !how.overlapped {
		how.options |= windows.FILE_SYNCHRONOUS_IO_NONALERT
	}
	var h windows.Handle
	var iosb windows.IO_STATUS_BLOCK
	var eas uintptr
	if len(how.eas) > 0 {
		eas = uintptr(unsafe.Pointer(&how.eas[0]))
	}
	err := windows.NtCreateFile(&h, how.access|windows.SYNCHRONIZE|windows.FILE_READ_ATTRIBUTES|windows.FILE_READ_EA, &oa, &iosb, nil, windows.FILE_ATTRIBUTE_NORMAL,
		shareAll, how.disposition, how.options|windows.FILE_OPEN_REPARSE_POINT, eas, uint32(len(how.eas)))
	runtime.KeepAlive(how.eas) // the call has its address as a number
	s := statusOf(err)
	if len(how.eas) > 0 && s == statusEAsNotSupported {
		how.eas = nil
		return open(dir, name, how)
	}
	if s.Err() == nil {
		opened(h, how)
	}
	return h, s
}

// queryInfo reads information of a class into b.
func queryInfo(h windows.Handle, class uint32, b []byte) Status {
	var iosb windows.IO_STATUS_BLOCK
	return statusOf(windows.NtQueryInformationFile(h, &iosb, &b[0], uint32(len(b)), class))
}

func setInfo(h windows.Handle, class uint32, b []byte) Status {
	var iosb windows.IO_STATUS_BLOCK
	return statusOf(windows.NtSetInformationFile(h, &iosb, &b[0], uint32(len(b)), class))
}

func queryVolume(h windows.Handle, class uint32, b []byte) error {
	var iosb windows.IO_STATUS_BLOCK
	r, _, _ := ntQueryVolumeInfo.Call(uintptr(h), uintptr(unsafe.Pointer(&iosb)), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(class))
	return Status(r).Err()
}

// readLink is the text of a link that is open.
func readLink(h windows.Handle) (string, error) {
	b, err := getReparse(h)
	if err != nil {
		return "", err
	}
	return DecodeLink(b)
}

func flush(h windows.Handle) error {
	var iosb windows.IO_STATUS_BLOCK
	r, _, _ := ntFlushBuffersFile.Call(uintptr(h), uintptr(unsafe.Pointer(&iosb)))
	return Status(r).Err()
}

// queryDirectory reads the next entries of a directory into b (FILE_ID_BOTH_DIR_INFORMATION); 0: there are no more.
func queryDirectory(h windows.Handle, b []byte, restart bool) (int, error) {
	var iosb windows.IO_STATUS_BLOCK
	again := uintptr(0)
	if restart {
		again = 1
	}
	r, _, _ := ntQueryDirectoryFile.Call(uintptr(h), 0, 0, 0, uintptr(unsafe.Pointer(&iosb)), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		fileIDBothDirectoryInformation, 0, 0, again)
	switch s := Status(r); s {
	case statusNoMoreFiles, statusNoSuchFile:
		return 0, nil
	default:
		return min(int(iosb.Information), len(b)), s.Err()
	}
}

// linkOrRename makes FILE_RENAME_INFORMATION_EX and FILE_LINK_INFORMATION_EX, which are the same.
func linkOrRename(flags uint32, dir windows.Handle, name []uint16) []byte {
	const fixed, least = 20, 24 // the structure's size is that of one with a name of two characters
	b := make([]byte, fixed, least+2*len(name))
	binary.LittleEndian.PutUint32(b, flags)
	binary.LittleEndian.PutUint64(b[8:], uint64(dir))
	binary.LittleEndian.PutUint32(b[16:], uint32(2*len(name)))
	for _, u := range name {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b[:max(len(b), least)]
}

// isUnknown: this Windows, file system or Wine does not know a class of information.
func isUnknown(s Status) bool {
	switch s {
	case statusInvalidInfoClass, statusNotImplemented, statusNotSupported, statusInvalidParameter, statusInvalidDeviceRequest:
		return true
	}
	return false
}
