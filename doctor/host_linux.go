package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/guest"
)

// Accelerator tells what will run guest code, "kvm" or "tcg", and why; the VM host knows.
type Accelerator func(ctx context.Context) (name, details string)

// HostChecks are the checks of a Linux host with this configuration.
func HostChecks(cfg *config.Config, accel Accelerator) []Check {
	return []Check{
		{"privileges", privileges},
		{"hypervisor", func(context.Context) Result { return program(cfg.VM.QEMU, "apt-get install qemu-system-x86") }},
		{"accelerator", func(ctx context.Context) Result { return accelerator(ctx, accel) }},
		{"vsock", func(context.Context) Result {
			return device("/dev/vhost-vsock", "guests are reached through virtio-serial instead", "modprobe vhost_vsock")
		}},
		{"fast network", func(context.Context) Result {
			return device("/dev/vhost-net", "packets pass through QEMU instead", "modprobe vhost_net")
		}},
		{"tap devices", tun},
		{"guest image", func(context.Context) Result { return guestImage(cfg.ResolveGuestDir()) }},
		{"scratch disks", func(context.Context) Result { return program("mkfs.ext4", "apt-get install e2fsprogs") }},
		{"CNI plugins", func(context.Context) Result { return cniPlugins(cfg.CNI.BinDirs) }},
		{"CNI configuration", func(context.Context) Result { return cniConf(cfg.CNI.ConfDir) }},
		{"iptables", func(context.Context) Result { return program("iptables", "apt-get install iptables") }},
		{"host network", func(context.Context) Result { return hostNetwork(cfg.HostNetwork.Mode) }},
		{"change notices", func(context.Context) Result {
			return changeNotices(cfg.Volumes.ChangeNotices, "/proc/sys/fs/fanotify/max_user_groups")
		}},
		{"cgroups", cgroups},
		{"image disk", func(context.Context) Result { return diskSpace(cfg.Root) }},
		{"windows pods", func(context.Context) Result { return windowsPods(cfg.ResolveGuestDir()) }},
	}
}

func privileges(context.Context) Result {
	if os.Geteuid() != 0 {
		return Result{Level: Fail, Detail: fmt.Sprintf("running as uid %d", os.Geteuid()), Fix: "run paddock as root"}
	}
	return Result{Detail: "root"}
}

func program(name, fix string) Result {
	path, err := exec.LookPath(name)
	if err != nil {
		return Result{Level: Fail, Detail: name + " is not on PATH", Fix: fix}
	}
	return Result{Detail: path}
}

func accelerator(ctx context.Context, probe Accelerator) Result {
	name, details := probe(ctx)
	if name != "kvm" {
		return Result{Level: Note, Detail: name + ": " + details,
			Fix: "for speed, use a machine (or enable nested virtualisation on this one) with a working /dev/kvm"}
	}
	return Result{Detail: name + ": " + details}
}

func device(path, without, fix string) Result {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return Result{Level: Note, Detail: fmt.Sprintf("%v; %s", err, without), Fix: fix}
	}
	f.Close()
	return Result{Detail: path}
}

func tun(context.Context) Result {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return Result{Level: Fail, Detail: err.Error(), Fix: "modprobe tun"}
	}
	f.Close()
	return Result{Detail: "/dev/net/tun"}
}

func guestImage(dir string) Result {
	fix := "make guest, or set guestDir in the configuration"
	initrd, err := os.Stat(filepath.Join(dir, "initrd.img"))
	if err != nil {
		return Result{Level: Fail, Detail: err.Error(), Fix: fix}
	}
	for _, name := range []string{"vmlinux", "vmlinuz"} {
		if kernel, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return Result{Detail: fmt.Sprintf("%s: %s %.1f MB, initrd.img %.1f MB", dir, name, float64(kernel.Size())/1e6, float64(initrd.Size())/1e6)}
		}
	}
	return Result{Level: Fail, Detail: dir + " has neither vmlinux nor vmlinuz", Fix: fix}
}

func windowsPods(dir string) Result {
	disk := filepath.Join(dir, guest.WineDiskFile)
	st, err := os.Stat(disk)
	if err != nil {
		return Result{Level: Note, Detail: "refused: " + err.Error(), Fix: "make guest, or set guestDir in the configuration"}
	}
	return Result{Level: Note, Detail: fmt.Sprintf("by Wine in a Linux guest (%s, %.1f MB): for development, not for production", disk, float64(st.Size())/1e6),
		Fix: "for Windows itself, use a Windows host"}
}

func cniPlugins(dirs []string) Result {
	var missing []string
	for _, plugin := range []string{"bridge", "host-local", "portmap", "loopback"} {
		found := false
		for _, dir := range dirs {
			if _, err := os.Stat(filepath.Join(dir, plugin)); err == nil {
				found = true
				break
			}
		}
		if !found {
			missing = append(missing, plugin)
		}
	}
	if len(missing) > 0 {
		return Result{Level: Note, Detail: fmt.Sprintf("%s not in %s; needed only if the configuration names them", strings.Join(missing, ", "), strings.Join(dirs, ", ")),
			Fix: "apt-get install containernetworking-plugins, or set cni.binDirs"}
	}
	return Result{Detail: strings.Join(dirs, ", ")}
}

func cniConf(dir string) Result {
	for _, pattern := range []string{"*.conflist", "*.conf", "*.json"} {
		if names, _ := filepath.Glob(filepath.Join(dir, pattern)); len(names) > 0 {
			return Result{Detail: names[0]}
		}
	}
	return Result{Level: Note, Detail: "no network configuration in " + dir + "; pods wait until there is one",
		Fix: "install a CNI network, or run `paddock cni-config > " + filepath.Join(dir, "10-paddock.conflist") + "`"}
}

// fewGroups is how many fanotify groups are few for a node: kubelet runs 110 pods by default.
const fewGroups = 256

// changeNotices looks at how many pods can be told of changes in their volumes; limit is the sysctl's file.
func changeNotices(on bool, limit string) Result {
	if !on {
		return Result{Detail: "off by the configuration"}
	}
	text, err := os.ReadFile(limit)
	if err != nil {
		return Result{Level: Note, Detail: "this kernel has no fanotify limits (before 5.13): pods see changes of the host within a second, without inotify events",
			Fix: "use Linux 5.17 or newer"}
	}
	groups, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || groups < fewGroups {
		return Result{Level: Note, Detail: fmt.Sprintf("at most %s pods can be told what the host changes in their volumes", strings.TrimSpace(string(text))),
			Fix: fmt.Sprintf("sysctl fs.fanotify.max_user_groups=%d", 4*fewGroups)}
	}
	return Result{Detail: fmt.Sprintf("for up to %d pods", groups)}
}

func hostNetwork(mode config.HostNetworkMode) Result {
	if mode == config.HostNetworkRefuse {
		return Result{Detail: "refused by the configuration"}
	}
	path, err := exec.LookPath("nft")
	if err != nil {
		return Result{Level: Note, Detail: "nft is not on PATH; pods with hostNetwork are refused", Fix: "apt-get install nftables"}
	}
	return Result{Detail: path}
}

func cgroups(context.Context) Result {
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err != nil {
		return Result{Level: Note, Detail: err.Error(), Fix: "mount cgroups at /sys/fs/cgroup"}
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		return Result{Detail: "v2"}
	}
	return Result{Detail: "v1"}
}

func diskSpace(root string) Result {
	dir := root
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Result{Level: Fail, Detail: fmt.Sprintf("%s: %v", dir, err), Fix: "set root to a folder on a local disk"}
	}
	free := st.Bavail * uint64(st.Bsize)
	r := Result{Detail: fmt.Sprintf("%s: %.1f GB free", dir, float64(free)/1e9)}
	if free < 2<<30 {
		r.Level, r.Fix = Note, "free space, or set root to a larger disk"
	}
	return r
}
