//go:build !linux && !windows

package fileshare

import (
	"fmt"
	"os"
)

// ServerCommand is the first argument with which a program must call ServerMain.
const ServerCommand = "fileshare-server"

// ServerMain is the share server process of one sandbox.
func ServerMain([]string) int {
	fmt.Fprintln(os.Stderr, "share servers run on Linux and Windows hosts only")
	return 1
}
