//go:build linux

package boot

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// moduleList names one .ko file a line, in the order to load; the guest image's build writes it.
const moduleList = "/etc/paddock/modules"

// loadModules loads what the image lists. A module whose hardware is absent
// (Hyper-V's under QEMU) or which the kernel has built in is not an error.
func loadModules() error {
	f, err := os.Open(moduleList)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		path := strings.TrimSpace(lines.Text())
		if path == "" || strings.HasPrefix(path, "#") {
			continue
		}
		if err := loadModule(path); err != nil {
			logf("load module %s: %v", path, err)
		}
	}
	return lines.Err()
}

func loadModule(path string) error {
	if !strings.HasPrefix(path, "/") {
		var u unix.Utsname
		if err := unix.Uname(&u); err != nil {
			return err
		}
		path = fmt.Sprintf("/lib/modules/%s/%s", unix.ByteSliceToString(u.Release[:]), path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
