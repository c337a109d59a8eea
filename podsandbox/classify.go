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
// folder of the scratch disk, a disk, or else a share of path.
type mountSource struct {
	tmpfs   *guestapi.TmpfsSource
	scratch *guestapi.ScratchSource
	disk    *volumeDisk
	path    string // links followed
}

// classifier knows the pod that host paths are for.
type classifier struct {
	podUID string
	// limits are sizes of emptyDirs, by name: see AnnotationEmptyDirSizeLimits.
	limits map[string]uint64
	// directVolumes are the folders in which drivers say which volumes are disks.
	directVolumes []string
}

// classify decides how a host path gets into the guest. A path that is not there is made a folder.
//
// An emptyDir is known by where kubelet makes it: pods/<the pod's UID>/volumes/kubernetes.io~empty-dir/<name>
// below its root, whichever that is. CRI does not say it otherwise; what another pod has at such a path is no emptyDir here.
func (c *classifier) classify(hostPath string) (mountSource, error) {
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
	if disk, err := c.directVolume(hostPath, real); disk != nil || err != nil {
		return mountSource{disk: disk}, err
	}
	name := c.emptyDirName(real)
	if name == "" {
		if origin := bindOrigin(real); origin != "" { // a subPath of an emptyDir
			name = c.emptyDirName(origin)
		}
	}
	if name == "" || !info.IsDir() {
		return mountSource{path: real}, nil
	}
	mode, uid, gid := ownership(info)
	if size, memory := tmpfsSize(real); memory {
		return mountSource{tmpfs: &guestapi.TmpfsSource{SizeBytes: size, Mode: mode, Uid: uid, Gid: gid, Name: name}}, nil
	}
	if disk := c.limitedEmptyDir(name, real); disk != nil {
		disk.mode, disk.uid, disk.gid = mode, uid, gid
		return mountSource{disk: disk}, nil
	}
	return mountSource{scratch: &guestapi.ScratchSource{Name: name, Mode: mode, Uid: uid, Gid: gid}}, nil
}

// emptyDirName is the scratch folder of an emptyDir, or of a folder within it; "" for another path.
func (c *classifier) emptyDirName(hostPath string) string {
	if c.podUID == "" {
		return ""
	}
	_, rest, found := strings.Cut(filepath.ToSlash(hostPath), "/pods/"+c.podUID+"/volumes/kubernetes.io~empty-dir/")
	if rest = path.Clean(rest); !found || rest == "." || rest == "/" {
		return ""
	}
	return "emptydir/" + rest
}
