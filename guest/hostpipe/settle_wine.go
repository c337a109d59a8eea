//go:build windows && wine

package hostpipe

import "golang.org/x/sys/windows"

// settle uses up the first instance of a new pipe. go-winio makes it such that
// no client can connect to it, which only Windows heeds: under Wine the first
// client would, and never be accepted.
func settle(path string) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return
	}
	if h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING, 0, 0); err == nil {
		windows.CloseHandle(h)
	}
}
