package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/doctor"
	"github.com/paddock-run/paddock/network/hns"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

// leastBuild is the first build of Windows whose service enters a Linux kernel directly.
const leastBuild = 18286

// hostChecks are the checks of a Windows host.
func hostChecks(cfg *config.Config) []doctor.Check {
	return []doctor.Check{
		{Name: "windows build", Run: func(context.Context) doctor.Result { return windowsBuild() }},
		{Name: "privileges", Run: func(context.Context) doctor.Result { return administrator() }},
		{Name: "hypervisor", Run: func(ctx context.Context) doctor.Result { return computeService(ctx) }},
		{Name: "guest image", Run: func(context.Context) doctor.Result { return guestImage(cfg.ResolveGuestDir()) }},
		{Name: "pod network", Run: func(context.Context) doctor.Result { return podNetwork(cfg) }},
		{Name: "file shares", Run: func(context.Context) doctor.Result { return fileShares(cfg.Root) }},
		{Name: "windows pods", Run: func(context.Context) doctor.Result { return windowsPods(cfg) }},
	}
}

// windowsPods tells from what their VMs boot. Whether they do no host but a Windows one can tell.
func windowsPods(cfg *config.Config) doctor.Result {
	if cfg.Windows.BaseImage == "" {
		return doctor.Result{Level: doctor.Note, Detail: "refused: no image is set to boot their VMs from", Fix: "set windows.baseImage, for example to mcr.microsoft.com/windows/nanoserver:ltsc2022, of the build of the pods' images"}
	}
	if _, err := computecore.NameToGUID("layer"); err != nil {
		return doctor.Result{Level: doctor.Fail, Detail: err.Error(), Fix: "enable the feature Containers"}
	}
	return doctor.Result{Detail: "VMs boot from " + cfg.Windows.BaseImage + "; this was never seen on a Windows host yet, see docs/windows.md"}
}

func windowsBuild() doctor.Result {
	build := windows.RtlGetVersion().BuildNumber
	if build < leastBuild {
		return doctor.Result{Level: doctor.Fail, Detail: fmt.Sprint(build), Fix: "use Windows Server 2022, or Windows 10 1903, or newer"}
	}
	return doctor.Result{Detail: fmt.Sprint(build)}
}

func administrator() doctor.Result {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return doctor.Result{Level: doctor.Fail, Detail: "this process is not elevated", Fix: "run paddock as an administrator, or as the service"}
	}
	return doctor.Result{Detail: "elevated"}
}

func computeService(ctx context.Context) doctor.Result {
	err := computecore.Available()
	if err == nil {
		_, err = computecore.List(ctx, "paddock")
	}
	if err != nil {
		return doctor.Result{Level: doctor.Fail, Detail: err.Error(), Fix: "enable Hyper-V (and nested virtualization in a virtual machine), and start the service vmcompute"}
	}
	return doctor.Result{Detail: "the Host Compute Service answers"}
}

func guestImage(dir string) doctor.Result {
	for _, file := range []string{"vmlinux", "initrd.img", "scratch.ext4.gz"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			return doctor.Result{Level: doctor.Fail, Detail: err.Error(), Fix: "copy build/guest from a Linux build (make guest), or set guestDir"}
		}
	}
	return doctor.Result{Detail: dir}
}

// fileShares looks at the volume of the daemon's files, which is most likely kubelet's.
func fileShares(root string) doctor.Result {
	volume := filepath.VolumeName(root) + `\`
	name, err := windows.UTF16PtrFromString(volume)
	var flags uint32
	system := make([]uint16, windows.MAX_PATH+1)
	if err == nil {
		err = windows.GetVolumeInformation(name, nil, 0, nil, nil, &flags, &system[0], uint32(len(system)))
	}
	switch {
	case err != nil:
		return doctor.Result{Level: doctor.Fail, Detail: fmt.Sprintf("volume %s: %v", volume, err), Fix: "have root on an NTFS volume"}
	case flags&windows.FILE_SUPPORTS_EXTENDED_ATTRIBUTES == 0:
		return doctor.Result{Level: doctor.Note, Detail: fmt.Sprintf("%s is %s, without extended attributes: files that pods share from it keep no owner and mode", volume, windows.UTF16ToString(system))}
	}
	return doctor.Result{Detail: fmt.Sprintf("%s is %s", volume, windows.UTF16ToString(system))}
}

func podNetwork(cfg *config.Config) doctor.Result {
	net, err := hns.New(hns.Config{ConfDir: cfg.CNI.ConfDir, BinDirs: cfg.CNI.BinDirs, StateDir: filepath.Join(cfg.State, "net")})
	if err == nil {
		err = errors.Join(net.Status(), net.Close())
	}
	if err != nil {
		return doctor.Result{Level: doctor.Fail, Detail: err.Error(), Fix: "install a CNI network for Windows, such as win-bridge, win-overlay or azure-cni"}
	}
	return doctor.Result{Detail: cfg.CNI.ConfDir}
}
