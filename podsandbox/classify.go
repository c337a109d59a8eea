package podsandbox

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// mountSource is what stands behind a host path in the guest: a tmpfs, a
// folder of the scratch disk, or else a share of path.
type mountSource struct {
	tmpfs   *guestapi.TmpfsSource
	scratch *guestapi.ScratchSource
	path    string // links followed
}

// emptyDirs is how kubelet lays out emptyDir volumes: <pod>/volumes/kubernetes.io~empty-dir/<name>.
const emptyDirs = "/volumes/kubernetes.io~empty-dir/"

// classify decides how a host path gets into the guest. A path that is not there is made a folder.
func classify(hostPath string) (mountSource, error) {
	if !filepath.IsAbs(hostPath) {
		return mountSource{}, fmt.Errorf("%w: host path %q is not absolute", ErrInvalid, hostPath)
	}
	real, err := filepath.EvalSymlinks(hostPath)
	if os.IsNotExist(err) {
		if err := os.MkdirAll(hostPath, 0o755); err != nil {
			return mountSource{}, fmt.Errorf("make host path: %w", err)
		}
		real, err = filepath.EvalSymlinks(hostPath)
	}
	if err != nil {
		return mountSource{}, fmt.Errorf("host path: %w", err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return mountSource{}, fmt.Errorf("host path: %w", err)
	}
	name := emptyDirName(real)
	if name == "" {
		if origin := bindOrigin(real); origin != "" { // a subPath of an emptyDir
			name = emptyDirName(origin)
		}
	}
	if name == "" || !info.IsDir() {
		return mountSource{path: real}, nil
	}
	mode, uid, gid := ownership(info)
	if size, memory := tmpfsSize(real); memory {
		return mountSource{tmpfs: &guestapi.TmpfsSource{SizeBytes: size, Mode: mode, Uid: uid, Gid: gid, Name: name}}, nil
	}
	return mountSource{scratch: &guestapi.ScratchSource{Name: name, Mode: mode, Uid: uid, Gid: gid}}, nil
}

// emptyDirName is the scratch folder of an emptyDir, or of a folder within it; "" for another path.
func emptyDirName(hostPath string) string {
	_, rest, found := strings.Cut(filepath.ToSlash(hostPath), emptyDirs)
	if rest = path.Clean(rest); !found || rest == "." || rest == "/" {
		return ""
	}
	return "emptydir/" + rest
}
