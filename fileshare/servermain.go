//go:build linux || windows

package fileshare

import "k8s.io/klog/v2"

// ServerCommand is the first argument with which a program must call ServerMain.
const ServerCommand = "fileshare-server"

// ServerMain is the share server process of one sandbox; args follow
// ServerCommand. It returns the process's exit code. Only Processes.Start runs it.
func ServerMain(args []string) int {
	if err := serverMain(args); err != nil {
		klog.ErrorS(err, "Share server ends")
		klog.Flush()
		return 1
	}
	return 0
}
