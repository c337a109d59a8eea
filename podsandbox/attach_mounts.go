package podsandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/fileshare"
	guestapi "github.com/paddock-run/paddock/guest/api"
)

// attachMounts makes the guest's mounts of the container's, and shares host paths.
func (k *containerMake) attachMounts(ctx context.Context) (err error) {
	pod := &k.s.status.Load().Config
	if k.options, err = k.m.cfg.options(pod.Annotations); err != nil {
		return err
	}
	k.where = classifier{podUID: pod.Meta.UID, limits: k.options.emptyDirLimits, directVolumes: k.m.cfg.DirectVolumeDirs}
	if err := k.attachDevices(ctx); err != nil {
		return err
	}
	for _, m := range k.allMounts() {
		mount, err := k.mount(ctx, &m)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.ContainerPath, err)
		}
		k.mounts = append(k.mounts, mount)
	}
	k.addImageVolumes()
	switch {
	case k.windowsGuest(): // what an image or kubelet gives it
	case k.windows != nil:
		k.addWindowsFiles()
	default:
		k.addSandboxFiles()
	}
	// Parents before what is inside them.
	slices.SortStableFunc(k.mounts, func(a, b *guestapi.Mount) int {
		return depth(a.Destination) - depth(b.Destination)
	})
	return nil
}

func depth(p string) int { return strings.Count(path.Clean(p), "/") }

func (k *containerMake) mount(ctx context.Context, m *Mount) (*guestapi.Mount, error) {
	destination := k.destination(m.ContainerPath)
	switch {
	case k.windows == nil && !path.IsAbs(destination):
		return nil, fmt.Errorf("%w: the container's path must be absolute", ErrInvalid)
	case m.Tmpfs:
		return &guestapi.Mount{Destination: destination, ReadOnly: m.ReadOnly, Options: m.Options,
			Source: &guestapi.Mount_Tmpfs{Tmpfs: &guestapi.TmpfsSource{}}}, nil
	case m.HostPath == "" && m.Image == "":
		return nil, fmt.Errorf("%w: neither a host path nor an image is given", ErrInvalid)
	}
	out := &guestapi.Mount{
		Destination: destination, ReadOnly: m.ReadOnly, RecursiveReadOnly: m.RecursiveReadOnly, Options: m.Options,
	}
	switch m.Propagation {
	case PropagationHostToContainer:
		out.Propagation = guestapi.Propagation_PROPAGATION_RSLAVE
	case PropagationBidirectional:
		out.Propagation = guestapi.Propagation_PROPAGATION_RSHARED
	}
	if m.Image != "" {
		source, err := k.imageSource(ctx, m)
		if err != nil {
			return nil, err
		}
		out.Source = source
		return out, nil
	}
	source, err := k.where.classify(m.HostPath)
	if err != nil {
		return nil, err
	}
	if err := source.mapOwner(m.IDs); err != nil {
		return nil, err
	}
	switch {
	case source.tmpfs != nil:
		out.Source = &guestapi.Mount_Tmpfs{Tmpfs: source.tmpfs}
	case source.scratch != nil:
		out.Source = &guestapi.Mount_Scratch{Scratch: source.scratch}
	case source.disk != nil:
		addr, err := k.attachVolume(ctx, source.disk)
		if err != nil {
			return nil, err
		}
		out.Source = &guestapi.Mount_Disk{Disk: &guestapi.DiskSource{Disk: guestDisk(addr), FsType: source.disk.fsType, Subpath: source.disk.subpath}}
	case k.windowsGuest():
		disk, err := k.attachPath(ctx, source.path, m.ReadOnly)
		if err != nil {
			return nil, err
		}
		out.Source = &guestapi.Mount_Disk{Disk: &guestapi.DiskSource{Disk: disk}}
	default:
		share := sharing(source.path, m)
		share.Watch = k.options.changeNotices
		id, err := k.share(ctx, share)
		if err != nil {
			return nil, err
		}
		if m.Propagation == PropagationBidirectional && !m.ReadOnly {
			k.outward(id, source.path)
		}
		// The host refuses what is not allowed; a read-only mount in the guest would refuse all.
		out.ReadOnly = out.ReadOnly && !share.TopReadOnly
		out.Source = &guestapi.Mount_Share{Share: &guestapi.ShareSource{ShareId: id}}
	}
	return out, nil
}

// outward notes that mounts made below a share may reach the node.
func (k *containerMake) outward(share, hostPath string) {
	k.c.commit.Lock()
	defer k.c.commit.Unlock()
	all := maps.Clone(k.c.record.Outward) // the record that is stored shares it
	if all == nil {
		all = map[string]string{}
	}
	all[share] = hostPath
	k.c.record.Outward = all
}

// sharing is the share that a mount needs, without an id. As with bind mounts,
// read-only alone leaves writable what is mounted below the path.
func sharing(hostPath string, m *Mount) fileshare.Share {
	share := fileshare.Share{HostPath: hostPath, ReadOnly: m.ReadOnly, FollowMounts: m.Propagation != PropagationPrivate, IDs: m.IDs}
	if m.ReadOnly && !m.RecursiveReadOnly && !share.FollowMounts && len(mountsBelow(hostPath)) > 0 {
		share.ReadOnly, share.TopReadOnly = false, true
	}
	return share
}

// share shows a host path to the guest, once per path, access and what is mounted below it.
func (k *containerMake) share(ctx context.Context, share fileshare.Share) (string, error) {
	s, c := k.s, k.c
	if s.share == nil {
		return "", fmt.Errorf("%w: the sandbox has no share server", ErrUnavailable)
	}
	id := shareID(share)
	share.ID = id
	_, err := s.shares.acquire(ctx, id, func(ctx context.Context) (struct{}, error) {
		info, err := s.share.Add(ctx, share)
		if err != nil {
			return struct{}{}, err
		}
		err = s.agent.retry(ctx, func(conn *agentConn) error {
			_, err := conn.AttachShare(ctx, &guestapi.AttachShareRequest{
				ShareId: id, ReadOnly: share.ReadOnly, RootIsFile: info.RootIsFile, MaxWrite: info.MaxWrite,
			})
			return fromAgent(err)
		})
		if err != nil {
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
			defer cancel()
			if undone := s.detachShare(undo, id); undone != nil {
				klog.FromContext(ctx).Error(undone, "Share stays attached", "sandbox", s.id, "share", id)
			}
		}
		return struct{}{}, err
	})
	if err != nil {
		return "", fmt.Errorf("share %s: %w", share.HostPath, err)
	}
	c.commit.Lock()
	defer c.commit.Unlock()
	c.record.Shares = append(c.record.Shares, id)
	return id, nil
}

// shareID names a share. Containers get the same one, and with it coherent
// caches and locks, unless mounts below the path have come or gone between them.
func shareID(share fileshare.Share) string {
	var below []int
	if !share.FollowMounts {
		below = mountsBelow(share.HostPath)
	}
	name := fmt.Appendf(nil, "%v %v %v %v %s", share.ReadOnly, share.TopReadOnly, share.FollowMounts, below, share.HostPath)
	if share.IDs != nil {
		name = fmt.Appendf(name, "\x00%v", *share.IDs)
	}
	sum := sha256.Sum256(name)
	return "s" + hex.EncodeToString(sum[:16])
}

func (s *sandbox) detachShare(ctx context.Context, id string) error {
	err := s.agent.retry(ctx, func(conn *agentConn) error {
		_, err := conn.DetachShare(ctx, &guestapi.DetachShareRequest{ShareId: id})
		return fromAgent(err)
	})
	if err != nil {
		return err
	}
	return s.share.Remove(ctx, id)
}

// releaseShares lets go of a container's shares; one that cannot be detached stays until the VM ends.
func (s *sandbox) releaseShares(ctx context.Context, ids []string) {
	if !s.vmRuns() || s.share == nil {
		return
	}
	for _, id := range ids {
		detach := func(ctx context.Context, _ struct{}) error { return s.detachShare(ctx, id) }
		if err := s.shares.release(ctx, id, detach); err != nil && s.vmRuns() {
			klog.FromContext(ctx).Error(err, "Share stays attached", "sandbox", s.id, "share", id)
		}
	}
}

// addImageVolumes gives the image's volumes that no mount covers a folder on the scratch disk.
func (k *containerMake) addImageVolumes() {
	volumes := make([]string, 0, len(k.image.Config.Volumes))
	for v := range k.image.Config.Volumes {
		if k.windows != nil {
			volumes = append(volumes, windowsPath(v))
		} else {
			volumes = append(volumes, path.Clean("/"+v))
		}
	}
	slices.Sort(volumes)
	root := rootID(k.s.status.Load().Config.UserNamespace)
	for _, v := range slices.Compact(volumes) {
		if v == "/" || v == windowsRoot || k.mounted(v) {
			continue
		}
		sum := sha256.Sum256([]byte(v))
		k.mounts = append(k.mounts, &guestapi.Mount{Destination: v, Source: &guestapi.Mount_Scratch{Scratch: &guestapi.ScratchSource{
			Name: "volumes/" + k.c.id + "/" + hex.EncodeToString(sum[:8]), Mode: 0o755, Uid: root, Gid: root, CopyUpFrom: v,
		}}})
	}
}

// addSandboxFiles mounts the pod's own files where the container has no others.
func (k *containerMake) addSandboxFiles() {
	for _, f := range sandboxFiles(k.cfg.Security.ReadOnlyRootfs) {
		if !k.mounted(f.Destination) {
			k.mounts = append(k.mounts, f)
		}
	}
}

// sandboxFiles are the mounts of the pod's own files.
func sandboxFiles(readOnly bool) []*guestapi.Mount {
	var all []*guestapi.Mount
	for _, f := range []struct {
		path string
		file guestapi.SandboxFile
	}{
		{"/etc/hosts", guestapi.SandboxFile_SANDBOX_FILE_HOSTS},
		{"/etc/hostname", guestapi.SandboxFile_SANDBOX_FILE_HOSTNAME},
		{"/etc/resolv.conf", guestapi.SandboxFile_SANDBOX_FILE_RESOLV_CONF},
		{"/dev/shm", guestapi.SandboxFile_SANDBOX_FILE_SHM},
	} {
		all = append(all, &guestapi.Mount{
			Destination: f.path, ReadOnly: readOnly && f.file != guestapi.SandboxFile_SANDBOX_FILE_SHM,
			Source: &guestapi.Mount_SandboxFile{SandboxFile: f.file},
		})
	}
	return all
}

func (k *containerMake) mounted(destination string) bool {
	return slices.ContainsFunc(k.mounts, func(m *guestapi.Mount) bool {
		return m.Destination == destination || k.windows != nil && strings.EqualFold(m.Destination, destination)
	})
}
