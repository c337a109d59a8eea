package ntfs

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// OpenRoot opens a share's root by a path of Windows', whose links are followed:
// who names the path is trusted. The caller closes the handle, or gives it to New.
//
// All its rights are what walking below needs: each request opens what it uses with rights of its own.
func OpenRoot(path string) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	h, err := windows.CreateFile(name, windows.FILE_READ_ATTRIBUTES|windows.FILE_READ_EA|windows.FILE_TRAVERSE|windows.SYNCHRONIZE, shareAll,
		nil, windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", path, err)
	}
	return h, nil
}
