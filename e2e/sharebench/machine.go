package sharebench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cavaliergopher/cpio"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/paddock-run/paddock/e2e/debian"
)

// peerModules are loaded by a peer's VM, in this order; those built into its kernel are not found, and passed over.
var peerModules = []string{
	"virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
	"fscache", "netfs", "9pnet", "9pnet_virtio", "9p", "fuse", "virtiofs",
}

// peerInit is the first process of a peer's VM. The kernel hands it what it does not know of its command line as variables.
const peerInit = `#!/usr/bin/busybox sh
export PATH=/usr/bin:/usr/sbin
mount() { busybox mount "$@"; }
busybox mkdir -p /proc /sys /dev /tmp /share
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
busybox mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
for m in %s; do
	[ ! -e /modules/$m.ko ] || busybox insmod /modules/$m.ko
done
case $PEER in
9p) mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576 share /share ;;
virtiofs) mount -t virtiofs share /share ;;
esac && sh /bench/work.sh "/share/$WORK" "$SECONDS_EACH" && echo work is done
busybox reboot -f
`

// peerRoot is what peers' VMs boot.
type peerRoot struct{ kernel, initrd string }

func rootIn(cache string) peerRoot {
	return peerRoot{filepath.Join(cache, "peer-vmlinuz"), filepath.Join(cache, "peer-initrd")}
}

// makeRoot makes it of the image and Debian's generic kernel.
func makeRoot(ctx context.Context, img v1.Image, cache string) (peerRoot, error) {
	r := rootIn(cache)
	archive, err := debian.Open(filepath.Join(cache, "debian"))
	if err != nil {
		return r, err
	}
	kernel := filepath.Join(cache, "peer-kernel")
	if _, err := os.Stat(kernel); err != nil {
		if err := unpackKernel(ctx, archive, kernel); err != nil {
			return r, fmt.Errorf("fetch the peers' kernel: %w", err)
		}
	}
	vmlinuz, err := one(filepath.Join(kernel, "boot/vmlinuz-*"))
	if err != nil {
		return r, err
	}
	return r, errors.Join(os.WriteFile(r.kernel, vmlinuz, 0o644), writeInitrd(r.initrd, img, kernel))
}

func unpackKernel(ctx context.Context, a *debian.Archive, dir string) error {
	names, err := a.Closure(ctx, "linux-image-amd64")
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "linux-image-6.") {
			continue
		}
		debs, err := a.Fetch(ctx, name)
		if err != nil {
			return err
		}
		if err := debian.Run(ctx, ".", nil, "dpkg-deb", "-x", debs[0], dir+".new"); err != nil {
			return err
		}
		return os.Rename(dir+".new", dir)
	}
	return errors.New("linux-image-amd64 depends on no kernel")
}

// one is the content of the one file of a pattern.
func one(pattern string) ([]byte, error) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("want one file %s, found %d", pattern, len(files))
	}
	return os.ReadFile(files[0])
}

func writeInitrd(file string, img v1.Image, kernel string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffered := bufio.NewWriterSize(f, 1<<20)
	archive := cpio.NewWriter(buffered)
	root := mutate.Extract(img)
	defer root.Close()
	if err := addTar(archive, root); err != nil {
		return err
	}
	if err := addFile(archive, "modules", cpio.TypeDir|0o755, nil); err != nil {
		return err
	}
	if err := filepath.WalkDir(filepath.Join(kernel, "lib/modules"), func(path string, d fs.DirEntry, err error) error {
		name, isModule := strings.CutSuffix(d.Name(), ".ko")
		name = strings.ReplaceAll(name, "-", "_")
		if err != nil || !isModule || !strings.Contains(" "+strings.Join(peerModules, " ")+" ", " "+name+" ") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return addFile(archive, "modules/"+name+".ko", cpio.TypeReg|0o644, content)
	}); err != nil {
		return err
	}
	init := fmt.Appendf(nil, peerInit, strings.Join(peerModules, " "))
	return errors.Join(addFile(archive, "init", cpio.TypeReg|0o755, init), archive.Close(), buffered.Flush())
}

// peerKind is a way of QEMU's to share a folder.
type peerKind string

const (
	virtio9P peerKind = "9p"
	virtioFS peerKind = "virtiofs"
)

// peer is a VM with a share.
type peer struct {
	kind   peerKind
	root   peerRoot
	accel  string // "kvm" or "tcg"
	shared string // the host's folder
	dir    string // for sockets
}

// run boots the VM, which measures in the share's folder work, and returns what it printed.
func (p peer) run(ctx context.Context, work string, seconds int) (output string, err error) {
	args := p.args(work, seconds)
	if p.kind == virtioFS {
		socket := filepath.Join(p.dir, "virtiofsd.sock")
		stop, err := startVirtiofsd(ctx, socket, p.shared)
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, stop()) }()
		args = append(args, "-chardev", "socket,id=share,path="+socket, "-device", "vhost-user-fs-pci,chardev=share,tag=share,queue-size=1024")
	} else {
		args = append(args, "-fsdev", "local,id=share,security_model=passthrough,path="+p.shared, "-device", "virtio-9p-pci,fsdev=share,mount_tag=share")
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("QEMU: %w: %s", err, text)
	}
	// A serial line ends its lines with a carriage return, too.
	output = strings.ReplaceAll(string(text), "\r", "")
	if !strings.Contains(output, "work is done") {
		return "", fmt.Errorf("%s: the VM did not do its work:\n%s", p.kind, output[max(0, len(output)-2000):])
	}
	return output, nil
}

func (p peer) args(work string, seconds int) []string {
	cpu, accel, extra := "host", "kvm", ""
	if p.accel == "tcg" { // as Paddock's VMs
		cpu, accel, extra = "Nehalem,-spec-ctrl", "tcg,tb-size=128", " mitigations=off"
	}
	return []string{
		"-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-M", "q35,smm=off,sata=off,smbus=off,usb=off,vmport=off,memory-backend=mem",
		"-accel", accel, "-cpu", cpu, "-smp", "1", "-m", "1024M",
		"-object", "memory-backend-memfd,id=mem,size=1024M,share=on",
		"-kernel", p.root.kernel, "-initrd", p.root.initrd,
		"-append", fmt.Sprintf("quiet console=ttyS0 panic=-1 cryptomgr.notests%s PEER=%s WORK=%s SECONDS_EACH=%d", extra, p.kind, work, seconds),
	}
}

// virtiofsd is where Debian has it, by release.
var virtiofsd = []string{"/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"}

// startVirtiofsd serves a folder until stopped, or until its VM has gone.
func startVirtiofsd(ctx context.Context, socket, shared string) (stop func() error, err error) {
	for _, program := range virtiofsd {
		if _, err := os.Stat(program); err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, program, "--socket-path="+socket, "-o", "source="+shared, "-o", "sandbox=chroot", "--rlimit-nofile=0")
		var text strings.Builder
		cmd.Stdout, cmd.Stderr = io.Discard, &text
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		if err := await(ctx, socket); err != nil {
			return nil, errors.Join(fmt.Errorf("virtiofsd: %w: %s", err, text.String()), cmd.Process.Kill(), cmd.Wait())
		}
		return func() error {
			err := cmd.Process.Kill()
			_ = cmd.Wait() // killed, or ended with its VM
			if errors.Is(err, os.ErrProcessDone) {
				err = nil
			}
			return err
		}, nil
	}
	return nil, fmt.Errorf("no virtiofsd in %s; install Debian's qemu-system-common or virtiofsd", strings.Join(virtiofsd, " or "))
}
