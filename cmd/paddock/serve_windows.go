package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/cri"
	"github.com/paddock-run/paddock/fileshare"
	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/network/hns"
	"github.com/paddock-run/paddock/podsandbox"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv"
)

// runHelperProcess does not return when this process was started as one of the
// daemon's own helpers.
func runHelperProcess(args []string) {
	if len(args) > 1 && args[1] == fileshare.ServerCommand {
		os.Exit(fileshare.ServerMain(args[2:]))
	}
}

// assemble makes the parts, lowest first.
func (d *daemon) assemble(ctx context.Context, cfg *config.Config) (*cri.Server, error) {
	dir := cfg.ResolveGuestDir()
	base := &baseImage{name: cfg.Windows.BaseImage}
	vms, err := hyperv.New(ctx, hyperv.Config{
		Kernel: filepath.Join(dir, "vmlinux"), Initrd: filepath.Join(dir, "initrd.img"),
		StateDir: filepath.Join(cfg.State, "vm"), DefaultMemory: uint64(cfg.VM.Memory.Value()),
		EndpointMAC: func(_ context.Context, id string) (net.HardwareAddr, error) { return hns.EndpointMAC(id) },
		Endpoint:    guestEndpoint, UtilityVM: base.utilityVM(),
	})
	if err != nil {
		return nil, fmt.Errorf("utility VMs: %w", err)
	}
	d.onClose(vms.Close)
	pods, err := hns.New(hns.Config{ConfDir: cfg.CNI.ConfDir, BinDirs: cfg.CNI.BinDirs, StateDir: filepath.Join(cfg.State, "net")})
	if err != nil {
		return nil, err
	}
	d.onClose(pods.Close)
	imageCfg := imageConfig(cfg)
	imageCfg.WindowsFolders = windowsLayers
	imageCfg.WindowsVersion = hostVersion() // a VM's Windows is not newer than its host's
	if base.name != "" {
		imageCfg.PinnedImages = append(imageCfg.PinnedImages, base.name)
	}
	images, err := imageservice.New(ctx, imageCfg)
	if err != nil {
		return nil, fmt.Errorf("image service: %w", err)
	}
	d.onClose(images.Close)
	shares, err := fileshare.New(fileshare.Config{StateDir: filepath.Join(cfg.State, "share")})
	if err != nil {
		return nil, err
	}
	base.images = images
	podCfg := sandboxConfig(cfg)
	podCfg.WindowsBaseImage = base.name
	manager, err := podsandbox.New(ctx, podCfg, podsandbox.Deps{
		VMs: vms, Network: pods, Images: images, Shares: shares,
		Scratch: podsandbox.NewVHDXScratch(filepath.Join(dir, "scratch.ext4.gz"), uint64(cfg.VM.Scratch.Value())),
	})
	if err != nil {
		return nil, fmt.Errorf("pod sandboxes: %w", err)
	}
	d.onClose(manager.Close)
	criCfg := criConfig(cfg)
	criCfg.Backend = backend(vms.Info())
	criCfg.Backend["windows"] = "none"
	if base.name != "" {
		criCfg.Backend["windows"] = "VMs boot from " + base.name
	}
	server, err := cri.New(criCfg, manager, images)
	if err != nil {
		return nil, err
	}
	d.onClose(server.Close)
	return server, nil
}

// hostVersion is this Windows', without the revision.
func hostVersion() string {
	v := windows.RtlGetVersion()
	return fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber)
}

// criConfig is what the CRI servers are told about a Windows host.
func criConfig(cfg *config.Config) cri.Config {
	handlers := []guest.Handler{guest.LCOW}
	if cfg.Windows.BaseImage != "" {
		handlers = append(handlers, guest.WCOW)
	}
	return cri.Config{
		Version:        version,
		Handlers:       handlers,
		DefaultHandler: cfg.DefaultHandler,
		MountOptions:   true,
		StreamAddr:     cfg.Streaming.Address,
		HostOS:         guest.Windows,
	}
}

// lockState keeps a second daemon from the same state: the file cannot be opened
// twice, and opens again when the process that has it ends.
func lockState(cfg *config.Config) (func() error, error) {
	for _, dir := range []string{cfg.Root, cfg.State} {
		if err := makePrivate(dir); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(cfg.State, "lock")
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w; is another paddock serving with the same state folder?", path, err)
	}
	return os.NewFile(uintptr(h), path).Close, nil
}

// privateFolder gives SYSTEM and Administrators all rights to a folder and what
// is in it, and nobody else any: %ProgramData% lets every user make files. Virtual
// machines are given access to single files (and pass folders by their privilege).
const privateFolder = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"

func makePrivate(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	sd, err := windows.SecurityDescriptorFromString(privateFolder)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	acl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	err = windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, acl, nil)
	if err != nil {
		return fmt.Errorf("set who may open %s: %w", dir, err)
	}
	return nil
}
