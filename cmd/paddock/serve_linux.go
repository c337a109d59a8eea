package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/cri"
	"github.com/paddock-run/paddock/fileshare"
	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/network/tap"
	"github.com/paddock-run/paddock/podsandbox"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu"
)

// assemble makes the parts, lowest first.
func (d *daemon) assemble(ctx context.Context, cfg *config.Config) (*cri.Server, error) {
	vms, err := newVMs(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d.onClose(vms.Close)
	net, err := tap.New(ctx, networkConfig(cfg))
	if err != nil {
		return nil, err
	}
	d.onClose(net.Close)
	imageCfg := imageConfig(cfg)
	imageCfg.WindowsVersion = guest.WineWindowsVersion
	images, err := imageservice.New(ctx, imageCfg)
	if err != nil {
		return nil, fmt.Errorf("image service: %w", err)
	}
	d.onClose(images.Close)
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	shares, err := fileshare.New(fileshare.Config{StateDir: filepath.Join(cfg.State, "share"), Exe: exe})
	if err != nil {
		return nil, fmt.Errorf("file shares: %w", err)
	}
	plugins, err := newPlugins(&cfg.NRI, cfg.NRISocket())
	if err != nil {
		return nil, err
	}
	d.onClose(plugins.close)
	wine := wineDisk(cfg)
	podCfg := sandboxConfig(cfg)
	podCfg.CDISpecDirs = cfg.CDI.Dirs()
	podCfg.NoChangeNotices = !cfg.Volumes.ChangeNotices
	podCfg.DirectVolumeDirs = cfg.Volumes.Direct
	podCfg.WineDisk = wine
	pods, err := podsandbox.New(ctx, podCfg, podsandbox.Deps{VMs: vms, Network: net, Images: images, Shares: shares, Hooks: plugins.hooks()})
	if err != nil {
		return nil, fmt.Errorf("pod sandboxes: %w", err)
	}
	d.onClose(pods.Close)
	if err := plugins.start(pods); err != nil {
		return nil, err
	}
	criCfg := criConfig(cfg)
	criCfg.Backend = backend(vms.Info())
	criCfg.Backend["windows"] = windowsBackend
	if wine == "" {
		klog.FromContext(ctx).Info("Windows pods are refused: the guest image has no Wine disk (make guest)", "guestDir", cfg.ResolveGuestDir())
		criCfg.Handlers = slices.DeleteFunc(criCfg.Handlers, func(h guest.Handler) bool { return h == guest.WCOW })
		criCfg.Backend["windows"] = "none"
	}
	server, err := cri.New(criCfg, pods, images)
	if err != nil {
		return nil, err
	}
	d.onClose(server.Close)
	return server, nil
}

func networkConfig(cfg *config.Config) tap.Config {
	c := tap.Config{ConfDir: cfg.CNI.ConfDir, BinDirs: cfg.CNI.BinDirs, StateDir: filepath.Join(cfg.State, "net")}
	if cfg.HostNetwork.Mode == config.HostNetworkForward {
		c.HostRange4, c.HostRange6 = cfg.HostNetwork.IPv4, cfg.HostNetwork.IPv6
	}
	return c
}

// criConfig is what the CRI servers are told about a Linux host.
func criConfig(cfg *config.Config) cri.Config {
	return cri.Config{
		Version:        version,
		Handlers:       []guest.Handler{guest.LCOW, guest.WCOW},
		DefaultHandler: cfg.DefaultHandler,
		MountOptions:   true,
		HostNetwork:    cfg.HostNetwork.Mode == config.HostNetworkForward,
		StreamAddr:     cfg.Streaming.Address,
		CgroupDriver:   runtimeapi.CgroupDriver_CGROUPFS,
		HostOS:         guest.Linux,
		Processors:     runtime.NumCPU(),
	}
}

// windowsBackend is what Status tells of Windows pods on a Linux host.
const windowsBackend = "Wine in a Linux guest, Windows " + guest.WineWindowsVersion + " as programs see it: for development, not for production"

// wineDisk is the disk for Windows pods; "" if the guest image has none.
func wineDisk(cfg *config.Config) string {
	disk := filepath.Join(cfg.ResolveGuestDir(), guest.WineDiskFile)
	if _, err := os.Stat(disk); err != nil {
		return ""
	}
	return disk
}

func newVMs(ctx context.Context, cfg *config.Config) (*qemu.Host, error) {
	kernel, initrd, err := guestFiles(cfg.ResolveGuestDir())
	if err != nil {
		return nil, err
	}
	vms, err := qemu.New(ctx, qemu.Config{
		Kernel: kernel, Initrd: initrd,
		StateDir:      filepath.Join(cfg.State, "vm"),
		QEMUBinary:    cfg.VM.QEMU,
		DefaultMemory: uint64(cfg.VM.Memory.Value()),
		NoTemplates:   !cfg.VM.Templates,
		TemplateDir:   filepath.Join(cfg.Root, "vm-templates"),
	})
	if err != nil {
		return nil, fmt.Errorf("utility VMs: %w", err)
	}
	return vms, nil
}

// guestFiles returns the kernel, vmlinux before vmlinuz, and the initrd.
func guestFiles(dir string) (kernel, initrd string, err error) {
	initrd = filepath.Join(dir, "initrd.img")
	if _, err := os.Stat(initrd); err != nil {
		return "", "", fmt.Errorf("guest image: %w; build it with `make guest`, or set guestDir in the configuration", err)
	}
	for _, name := range []string{"vmlinux", "vmlinuz"} {
		kernel = filepath.Join(dir, name)
		if _, err := os.Stat(kernel); err == nil {
			return kernel, initrd, nil
		}
	}
	return "", "", fmt.Errorf("guest image: %s has neither vmlinux nor vmlinuz; build it with `make guest`", dir)
}

// lockState keeps a second daemon from the same state.
func lockState(cfg *config.Config) (func() error, error) {
	for _, dir := range []string{cfg.Root, cfg.State} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(cfg.State, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w; is another paddock serving with the same state folder?", path, err)
	}
	return f.Close, nil
}

// listen replaces the socket of a daemon that is gone: the state's lock is ours.
func listen(cfg *config.Config) (net.Listener, error) {
	path, err := cfg.Endpoint()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}
