//go:build linux

package cgroup

import (
	"fmt"
	"os"
	"strings"
)

// Descriptors counts the files that processes have open, and how many of them are sockets.
func Descriptors(pids []int) (files, sockets uint64) {
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		d, err := os.Open(dir)
		if err != nil {
			continue // it has ended
		}
		names, _ := d.Readdirnames(-1)
		d.Close()
		files += uint64(len(names))
		for _, name := range names {
			if target, err := os.Readlink(dir + "/" + name); err == nil && strings.HasPrefix(target, "socket:") {
				sockets++
			}
		}
	}
	return files, sockets
}
