package ntfs

import "github.com/paddock-run/paddock/fileshare/wire"

// Errno is an error as the guest's kernel, Linux, numbers it.
type Errno = wire.Errno

// Errors that the package gives.
const (
	EPERM        Errno = 1
	ENOENT       Errno = 2
	EINTR        Errno = 4
	EIO          Errno = 5
	ENXIO        Errno = 6
	EBADF        Errno = 9
	EAGAIN       Errno = 11
	ENOMEM       Errno = 12
	EACCES       Errno = 13
	EBUSY        Errno = 16
	EEXIST       Errno = 17
	EXDEV        Errno = 18
	ENOTDIR      Errno = 20
	EISDIR       Errno = 21
	EINVAL       Errno = 22
	ENFILE       Errno = 23
	EMFILE       Errno = 24
	EFBIG        Errno = 27
	ENOSPC       Errno = 28
	EROFS        Errno = 30
	EMLINK       Errno = 31
	ERANGE       Errno = 34
	ENAMETOOLONG Errno = 36
	ENOLCK       Errno = 37
	ENOTEMPTY    Errno = 39
	ELOOP        Errno = 40
	ENODATA      Errno = 61
	EOPNOTSUPP   Errno = 95
	ESTALE       Errno = 116
	EDQUOT       Errno = 122
)

// Status is an NTSTATUS.
type Status uint32

// errnos are the errors of statuses that have one of their own; [MS-ERREF] 2.3.1 has the numbers.
var errnos = map[Status]Errno{
	0xC000000F: ENOENT,       // STATUS_NO_SUCH_FILE
	0xC0000034: ENOENT,       // STATUS_OBJECT_NAME_NOT_FOUND
	0xC0000056: ENOENT,       // STATUS_DELETE_PENDING
	0xC000003A: ENOENT,       // STATUS_OBJECT_PATH_NOT_FOUND
	0xC0000033: ENOENT,       // STATUS_OBJECT_NAME_INVALID
	0xC0000035: EEXIST,       // STATUS_OBJECT_NAME_COLLISION
	0xC0000022: EACCES,       // STATUS_ACCESS_DENIED
	0xC0000121: EPERM,        // STATUS_CANNOT_DELETE
	0xC0000043: EBUSY,        // STATUS_SHARING_VIOLATION
	0xC0000243: EBUSY,        // STATUS_USER_MAPPED_FILE
	0xC0000054: EAGAIN,       // STATUS_FILE_LOCK_CONFLICT
	0xC0000055: EAGAIN,       // STATUS_LOCK_NOT_GRANTED
	0xC0000101: ENOTEMPTY,    // STATUS_DIRECTORY_NOT_EMPTY
	0xC0000103: ENOTDIR,      // STATUS_NOT_A_DIRECTORY
	0xC00000BA: EISDIR,       // STATUS_FILE_IS_A_DIRECTORY
	0xC00000D4: EXDEV,        // STATUS_NOT_SAME_DEVICE
	0xC000007F: ENOSPC,       // STATUS_DISK_FULL
	0xC0000044: EDQUOT,       // STATUS_QUOTA_EXCEEDED
	0xC00000A2: EROFS,        // STATUS_MEDIA_WRITE_PROTECTED
	0xC0000265: EMLINK,       // STATUS_TOO_MANY_LINKS
	0xC0000106: ENAMETOOLONG, // STATUS_NAME_TOO_LONG
	0xC000011F: EMFILE,       // STATUS_TOO_MANY_OPENED_FILES
	0xC0000017: ENOMEM,       // STATUS_NO_MEMORY
	0xC000009A: ENOMEM,       // STATUS_INSUFFICIENT_RESOURCES
	0xC000000D: EINVAL,       // STATUS_INVALID_PARAMETER
	0xC00000BB: EOPNOTSUPP,   // STATUS_NOT_SUPPORTED
	0xC0000010: EOPNOTSUPP,   // STATUS_INVALID_DEVICE_REQUEST
	0xC000004F: EOPNOTSUPP,   // STATUS_EAS_NOT_SUPPORTED
	0xC0000050: ENOSPC,       // STATUS_EA_TOO_LARGE
	0xC0000051: ENODATA,      // STATUS_NONEXISTENT_EA_ENTRY
	0xC0000052: ENODATA,      // STATUS_NO_EAS_ON_FILE
	0xC0000904: EFBIG,        // STATUS_FILE_TOO_LARGE
	0xC0000280: ELOOP,        // STATUS_REPARSE_POINT_NOT_RESOLVED
	0xC000050B: ELOOP,        // STATUS_REPARSE_POINT_ENCOUNTERED
	0xC0000128: ESTALE,       // STATUS_FILE_CLOSED
	0xC0000008: ESTALE,       // STATUS_INVALID_HANDLE
}

// Err is the error that a status is: nil for a success, an information or a warning.
func (s Status) Err() error {
	if s>>30 != 3 {
		return nil
	}
	if e, ok := errnos[s]; ok {
		return e
	}
	return EIO
}
