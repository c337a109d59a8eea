package fileshare

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/channel"
)

// reachable turns an address with a path into one that the process can still
// use from its empty root: through a descriptor of the socket's directory.
func reachable(addr channel.Address) (channel.Address, error) {
	path, ok := strings.CutPrefix(string(addr), "mux:")
	if !ok {
		return addr, nil
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open the directory of the guest's channel %s: %w", path, err)
	}
	return channel.MuxAddress(fmt.Sprintf("%s/%d/%s", confinedFDDir, fd, filepath.Base(path))), nil
}
