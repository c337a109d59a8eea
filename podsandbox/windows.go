package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/ocispec"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/winspec"
)

// os is the OS of the sandbox's containers.
func (s *sandbox) os() guest.OS {
	os, _ := s.status.Load().Config.Handler.OS()
	return os
}

// planWindows decides what a Windows container runs; of a Linux one its specification says so.
func (k *containerMake) planWindows() error {
	if k.s.os() != guest.Windows {
		return nil
	}
	pod := k.s.status.Load().Config
	in := winspec.Container{
		Image: k.image.Config, Command: k.cfg.Command, Args: k.cfg.Args, WorkingDir: k.cfg.WorkingDir,
		Hostname: podHostname(k.s.id, &pod), Username: k.cfg.Security.RunAsUsername,
	}
	for _, e := range k.cfg.Env {
		in.Env = append(in.Env, e.Key+"="+e.Value)
	}
	p, err := winspec.Generate(in)
	if errors.Is(err, winspec.ErrInvalid) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return err
	}
	k.windows = &guestapi.WindowsContainer{Process: &guestapi.WindowsProcess{
		Args: p.Args, CommandLine: p.CommandLine, Env: p.Env, Dir: p.Dir,
	}}
	// What Linux's security context says is about accounts that Windows does not have.
	sc := &k.cfg.Security
	sc.RunAsUsername, sc.RunAsUser, sc.RunAsGroup, sc.SupplementalGroups = p.Account, nil, nil, nil
	sc.ReadOnlyRootfs = false
	sc.Namespaces.PID = NamespacePod
	return nil
}

// adaptSpec makes the specification one for Wine: its own program and folder are the agent's to say.
func (k *containerMake) adaptSpec(in *ocispec.Container) {
	in.Command, in.Args = k.windows.Process.Args, nil
	in.WorkingDir, in.ReadOnlyRootfs = "/", false
}

// attachWine attaches the disk that Wine is on.
func (k *containerMake) attachWine(ctx context.Context) error {
	if k.windows == nil {
		return nil
	}
	if k.windowsGuest() {
		return k.attachOwnScratch(ctx)
	}
	file := k.m.cfg.WineDisk
	addr, err := k.s.acquireDisk(ctx, vm.Disk{Path: file, ReadOnly: true}, nil)
	if err != nil {
		return fmt.Errorf("attach Wine's disk: %w", err)
	}
	k.c.commit.Lock()
	defer k.c.commit.Unlock()
	k.c.record.Disks = append(k.c.record.Disks, diskUse{Path: file, Address: addr})
	k.windows.Wine = &guestapi.Layer{Disk: guestDisk(addr), FsType: "ext4"}
	return nil
}

const (
	windowsRoot = "C:"
	// windowsHosts is where Windows has what Linux has in /etc/hosts.
	windowsHosts = windowsRoot + "/Windows/System32/drivers/etc/hosts"
	linuxHosts   = "/etc/hosts"
)

// windowsPath is a path of drive C: in one form of the many: "C:/Data". A Linux
// node's kubelet puts a slash before what is no absolute path to it.
func windowsPath(p string) string {
	if rest, ok := strings.CutPrefix(p, "/"); ok && (strings.HasPrefix(rest, `\`) || len(rest) >= 2 && rest[1] == ':') {
		p = rest
	}
	p = strings.ReplaceAll(p, `\`, "/")
	if len(p) >= 2 && p[1] == ':' {
		return strings.ToUpper(p[:1]) + ":" + strings.TrimSuffix(path.Clean("/"+p[2:]), "/")
	}
	if strings.HasPrefix(p, "//") {
		return p // a pipe or share, which the guest refuses
	}
	return windowsRoot + strings.TrimSuffix(path.Clean("/"+p), "/")
}

// destination is a mount's place as the guest takes it.
func (k *containerMake) destination(containerPath string) string {
	if k.windows != nil {
		return windowsPath(containerPath)
	}
	return GuestPath(containerPath, hostOS())
}

// addWindowsFiles gives Wine the pod's own files at Linux's places, and Windows its hosts file.
// kubelet makes a hosts file of its own, and puts it where its node's OS has that.
func (k *containerMake) addWindowsFiles() {
	hosts := &guestapi.Mount{Source: &guestapi.Mount_SandboxFile{SandboxFile: guestapi.SandboxFile_SANDBOX_FILE_HOSTS}}
	for _, m := range k.mounts {
		if strings.EqualFold(m.Destination, windowsHosts) || m.Destination == windowsPath(linuxHosts) {
			hosts = m
		}
	}
	if !k.mounted(windowsHosts) {
		k.mounts = append(k.mounts, placed(hosts, windowsHosts, false))
	}
	k.mounts = append(k.mounts, placed(hosts, linuxHosts, true))
	for place, file := range map[string]guestapi.SandboxFile{
		"/etc/hostname":    guestapi.SandboxFile_SANDBOX_FILE_HOSTNAME,
		"/etc/resolv.conf": guestapi.SandboxFile_SANDBOX_FILE_RESOLV_CONF,
		"/dev/shm":         guestapi.SandboxFile_SANDBOX_FILE_SHM,
	} {
		k.mounts = append(k.mounts, &guestapi.Mount{Destination: place, LinuxPath: true, Source: &guestapi.Mount_SandboxFile{SandboxFile: file}})
	}
}

// placed is a mount at another place.
func placed(m *guestapi.Mount, destination string, linux bool) *guestapi.Mount {
	at := proto.Clone(m).(*guestapi.Mount)
	at.Destination, at.LinuxPath = destination, linux
	return at
}
