package podsandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// volumeDisk is a disk that a mount shows.
type volumeDisk struct {
	vm.Disk
	fsType string
	// subpath is the folder in it that is shown.
	subpath string

	// make: it is an emptyDir's, to be made when it is not there, of size bytes and with this owner and mode.
	make           bool
	size           uint64
	mode, uid, gid uint32
}

const (
	// emptyDirDisk is what lies in kubelet's folder of an emptyDir with a limit, and
	// emptyDirFolder the folder in it that containers see, without ext4's own.
	emptyDirDisk   = ".paddock-empty-dir.ext4"
	emptyDirFolder = "data"
)

// limitedEmptyDir is the disk of an emptyDir with a limit; nil if it has none. name
// may lead to a folder in it, which hostPath then is, too.
func (c *classifier) limitedEmptyDir(name, hostPath string) *volumeDisk {
	volume, below, _ := strings.Cut(strings.TrimPrefix(name, "emptydir/"), "/")
	size := c.limits[volume]
	if size == 0 || !emptyDirDisks {
		return nil
	}
	dir := hostPath
	if i := strings.Index(hostPath, "/volumes/kubernetes.io~empty-dir/"); i < 0 { // a subPath's bind mount
		dir = filepath.Join(podDir(hostPath), "volumes", "kubernetes.io~empty-dir", volume)
	} else if below != "" {
		dir = strings.TrimSuffix(hostPath, "/"+below)
	}
	return &volumeDisk{
		Disk:   vm.Disk{Path: filepath.Join(dir, emptyDirDisk)},
		fsType: "ext4", subpath: path.Join(emptyDirFolder, below), make: true, size: size,
	}
}

// podDir is kubelet's folder of the pod that a subPath's bind mount belongs to.
func podDir(hostPath string) string {
	dir, _, _ := strings.Cut(hostPath, "/volume-subpaths/")
	return dir
}

// attachVolume attaches a disk for the container, and makes it if need be.
func (k *containerMake) attachVolume(ctx context.Context, d *volumeDisk) (vm.DiskAddress, error) {
	prepare := func(ctx context.Context) error {
		if d.make {
			return d.ensure(ctx)
		}
		return notMounted(d.Path)
	}
	addr, err := k.s.acquireDisk(ctx, d.Disk, prepare)
	if err != nil {
		return addr, fmt.Errorf("attach disk %s: %w", d.Path, err)
	}
	k.c.commit.Lock()
	defer k.c.commit.Unlock()
	k.c.record.Disks = append(k.c.record.Disks, diskUse{Path: d.Path, Address: addr})
	return addr, nil
}

// ensure makes an emptyDir's disk. One that is there is of an earlier sandbox of the pod.
func (d *volumeDisk) ensure(ctx context.Context) error {
	if _, err := os.Lstat(d.Path); err == nil {
		return nil
	}
	content, err := os.MkdirTemp("", "paddock-empty-dir-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(content)
	folder := filepath.Join(content, emptyDirFolder)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if err := os.Chown(folder, int(d.uid), int(d.gid)); err != nil {
		return err
	}
	if err := setMode(folder, d.mode); err != nil {
		return err
	}
	tmp := d.Path + ".new"
	defer os.Remove(tmp)
	if err := formatExt4(ctx, tmp, d.size, "-d", content); err != nil {
		return fmt.Errorf("make a disk for the emptyDir: %w", err)
	}
	return os.Rename(tmp, d.Path)
}

// mountInfo is what a storage driver writes of a volume that is a disk. Kata
// Containers calls such volumes direct-assigned; the file is the same.
type mountInfo struct {
	VolumeType string            `json:"volume-type"`
	Device     string            `json:"device"`
	FSType     string            `json:"fstype"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Options    []string          `json:"options,omitempty"`
}

// directVolume is the disk of a host path that a driver has marked as one; nil for any other path.
func (c *classifier) directVolume(paths ...string) (*volumeDisk, error) {
	for _, dir := range c.directVolumes {
		for _, p := range paths {
			file := filepath.Join(dir, base64.URLEncoding.EncodeToString([]byte(p)), "mountInfo.json")
			data, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("volume %s: %w", p, err)
			}
			d, err := parseMountInfo(data)
			if err != nil {
				return nil, fmt.Errorf("volume %s: %s: %w", p, file, err)
			}
			return d, nil
		}
	}
	return nil, nil
}

func parseMountInfo(data []byte) (*volumeDisk, error) {
	var info mountInfo
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch {
	case info.VolumeType != "block" && info.VolumeType != "directvol":
		return nil, fmt.Errorf("%w: volume-type %q is not supported: block is", ErrInvalid, info.VolumeType)
	case info.FSType != "ext4":
		return nil, fmt.Errorf("%w: fstype %q is not supported: ext4 is", ErrInvalid, info.FSType)
	case !filepath.IsAbs(info.Device):
		return nil, fmt.Errorf("%w: device %q is not an absolute path", ErrInvalid, info.Device)
	case info.Metadata["fsGroup"] != "":
		return nil, fmt.Errorf("%w: fsGroup is not supported for volumes that are disks: give the file system's folder to the group", ErrInvalid)
	}
	device, err := filepath.EvalSymlinks(info.Device)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	d := &volumeDisk{Disk: vm.Disk{Path: device}, fsType: info.FSType}
	for _, o := range info.Options {
		switch o {
		case "ro":
			d.ReadOnly = true
		case "rw", "discard", "noatime", "nodev": // as it is mounted anyway
		default:
			return nil, fmt.Errorf("%w: mount option %q is not supported for volumes that are disks", ErrInvalid, o)
		}
	}
	return d, nil
}

// attachDevices attaches the container's block devices: raw block volumes, for one.
func (k *containerMake) attachDevices(ctx context.Context) error {
	for _, d := range k.cfg.Devices {
		device := blockDevice(d.HostPath)
		if device == "" {
			continue
		}
		disk := &volumeDisk{Disk: vm.Disk{Path: device, ReadOnly: d.Permissions != "" && !strings.Contains(d.Permissions, "w")}}
		addr, err := k.attachVolume(ctx, disk)
		if err != nil {
			return fmt.Errorf("device %s: %w", d.HostPath, err)
		}
		at := d.ContainerPath
		if at == "" {
			at = d.HostPath
		}
		k.mounts = append(k.mounts, &guestapi.Mount{
			Destination: path.Clean(at), ReadOnly: disk.ReadOnly,
			Source: &guestapi.Mount_Disk{Disk: &guestapi.DiskSource{Disk: guestDisk(addr), Block: true}},
		})
	}
	return nil
}
