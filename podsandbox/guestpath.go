package podsandbox

import (
	"path"
	"regexp"
	"runtime"
	"strings"

	"github.com/paddock-run/paddock/guest"
)

// hostOS is this node's.
func hostOS() guest.OS {
	if runtime.GOOS == "windows" {
		return guest.Windows
	}
	return guest.Linux
}

var drive = regexp.MustCompile(`^[a-zA-Z]:`)

// GuestPath is where a Linux guest finds a container's path, clean. Kubelet on a
// Windows node writes some with a drive and backslashes, such as
// c:/dev/termination-log (k8s.io/kubernetes/pkg/volume/util.MakeAbsolutePath);
// the container's status keeps them to the letter.
func GuestPath(p string, host guest.OS) string {
	if host == guest.Windows && drive.MatchString(p) {
		p = "/" + strings.ReplaceAll(p[2:], `\`, "/")
	}
	return path.Clean(p)
}
