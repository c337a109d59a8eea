package bridge

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/image/initramfs"
)

const root = "../.."

// build makes a static program of a package in dir.
func build(t *testing.T, dir, pkg, out string, cgo bool) {
	t.Helper()
	enabled, flags := "CGO_ENABLED=0", "-ldflags=-s -w"
	if cgo {
		enabled, flags = "CGO_ENABLED=1", "-ldflags=-s -w -extldflags=-static"
	}
	cmd := exec.Command("go", "build", "-trimpath", "-tags=netgo,osusergo", flags, "-o", out, pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), enabled)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, b)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v: run `make guest critest` first", err)
	}
	return b
}

// initrd is the guest image's, and an archive behind it with the programs of this test.
func initrd(t *testing.T, dir string) string {
	t.Helper()
	build(t, ".", "./gcsguest", filepath.Join(dir, "gcsguest"), false)
	build(t, "gcs", "github.com/Microsoft/hcsshim/cmd/gcs", filepath.Join(dir, "gcs"), false)
	build(t, "../peers", "github.com/opencontainers/runc", filepath.Join(dir, "runc"), true)
	b := bytes.NewBuffer(read(t, root+"/build/guest/initrd.img"))
	for b.Len()%4 != 0 { // archives begin on words
		b.WriteByte(0)
	}
	a := initramfs.New()
	for name, from := range map[string]string{
		"gcsguest": filepath.Join(dir, "gcsguest"), "usr/bin/gcs": filepath.Join(dir, "gcs"), "usr/bin/runc": filepath.Join(dir, "runc"),
		"usr/bin/busybox": root + "/build/conformance/busybox",
	} {
		a.File(name, 0o755, read(t, from))
	}
	a.File("vsock_loopback.ko", 0o644, module(t, "vsock_loopback.ko"))
	if err := a.Write(b); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "initrd")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// module is one of the kernel's modules that the image lacks, from the package that
// the image was built of.
func module(t *testing.T, name string) []byte {
	t.Helper()
	var manifest struct {
		Packages      []struct{ Name, Version string }
		KernelRelease string
	}
	if err := json.Unmarshal(read(t, root+"/build/guest/manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	pkg := manifest.Packages[0]
	deb := fmt.Sprintf("%s/.cache/guest/apt/cache/archives/%s_%s_amd64.deb", root, pkg.Name, pkg.Version)
	out, err := exec.Command("dpkg-deb", "--fsys-tarfile", deb).Output()
	if err != nil {
		t.Fatalf("unpack %s: %v", deb, err)
	}
	for r := tar.NewReader(bytes.NewReader(out)); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%s in %s: %v", name, deb, err)
		}
		if filepath.Base(h.Name) == name {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
}

// machine is a running VM.
type machine struct {
	dialer channel.Dialer
	ended  chan struct{}
}

// boot starts a VM that ends with the test.
func boot(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	console, sock := filepath.Join(dir, "console"), filepath.Join(dir, "channel")
	cmd := exec.Command("qemu-system-x86_64",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-M", "q35,smm=off,sata=off,smbus=off,usb=off,vmport=off", "-m", "768M",
		"-accel", "tcg,tb-size=128", "-cpu", "Nehalem,-spec-ctrl",
		"-kernel", root+"/build/guest/vmlinux", "-initrd", initrd(t, dir),
		"-append", "quiet console=ttyS0 panic=-1 rdinit=/gcsguest cryptomgr.notests noreplace-smp 8250.nr_uarts=1 mitigations=off",
		"-chardev", "file,id=console,path="+console, "-serial", "chardev:console",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=agent,server=on,wait=off,path="+sock,
		"-device", "virtserialport,nr=1,chardev=agent,name=paddock.agent", "-device", "virtio-rng-pci",
	)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("start QEMU: %v", err)
	}
	m := &machine{ended: make(chan struct{})}
	go func() { cmd.Wait(); close(m.ended) }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-m.ended
		if b, _ := os.ReadFile(console); t.Failed() {
			t.Logf("console:\n%s", b)
		}
	})
	m.open(t, sock)
	return m
}

// open waits for QEMU's socket, then for the guest behind it.
func (m *machine) open(t *testing.T, sock string) {
	t.Helper()
	ctx := patience(t)
	for {
		dialer, err := channel.Open(ctx, channel.Address("mux:"+sock))
		if err == nil {
			m.dialer = dialer
			t.Cleanup(func() { dialer.Close() })
			return
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("open the channel: %v", err)
		}
		select {
		case <-m.ended:
			t.Fatal("QEMU ended at once")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// listen awaits the guest service on a port: gcsguest joins the connection made here
// with the service's.
func (m *machine) listen(port uint32) (net.Listener, error) {
	return &listener{machine: m, port: port, closed: make(chan struct{})}, nil
}

type listener struct {
	machine *machine
	port    uint32
	once    sync.Once
	taken   bool
	closed  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	if l.taken {
		<-l.closed
		return nil, net.ErrClosed
	}
	l.taken = true
	return l.machine.dialer.Dial(context.Background(), l.port)
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return channel.Addr{Side: "host", Port: l.port} }

// patience ends when a machine under emulation has surely hung.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// line reads one line of a process.
func line(t *testing.T, r io.Reader) string {
	t.Helper()
	var b strings.Builder
	for one := make([]byte, 1); ; {
		if _, err := r.Read(one); err != nil {
			t.Fatalf("read: %v, after %q", err, b.String())
		}
		if one[0] == '\n' {
			return strings.TrimSuffix(b.String(), "\r")
		}
		b.WriteByte(one[0])
	}
}
