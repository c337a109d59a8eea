//go:build linux

package agenttest

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/client"
)

// Disks of every machine, by LUN.
const (
	baseLUN uint32 = iota // a busybox root
	topLUN                // a layer above it
	scratchLUN
)

// Machine is a running utility VM.
type Machine struct {
	t      testing.TB
	dialer channel.Dialer
	exited chan struct{}
	// Console is the file that the guest's console is written to.
	Console string
}

// Boot starts a VM that ends with the test.
func Boot(t testing.TB) *Machine {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a VM")
	}
	image := guestImage(t)
	dir := t.TempDir()
	m := &Machine{t: t, exited: make(chan struct{}), Console: filepath.Join(dir, "console")}
	base, top := layers(t, dir)
	scratch := filepath.Join(dir, "scratch.ext4")
	run(t, "mkfs.ext4", "-q", "-F", scratch, "512M")
	sock := filepath.Join(dir, "agent.sock")
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-M", "q35,smm=off,sata=off,smbus=off,usb=off,vmport=off", "-m", "512M",
		"-accel", "tcg,tb-size=128", "-cpu", "Nehalem,-spec-ctrl",
		"-kernel", filepath.Join(image, "vmlinux"), "-initrd", filepath.Join(image, "initrd.img"),
		"-append", "quiet console=ttyS0 panic=-1 cryptomgr.notests noreplace-smp 8250.nr_uarts=1 mitigations=off " + guest.EmulatedArg,
		"-chardev", "file,id=console,path=" + m.Console, "-serial", "chardev:console",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=agent,server=on,wait=off,path=" + sock,
		"-device", "virtserialport,nr=1,chardev=agent,name=paddock.agent",
		"-device", "virtio-scsi-pci,id=scsi0", "-device", "virtio-rng-pci",
		"-netdev", "hubport,hubid=0,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile=,mac=52:54:00:00:00:01",
	}
	for lun, file := range []string{base, top, scratch} {
		args = append(args, diskArgs(uint32(lun), file, lun != int(scratchLUN))...)
	}
	cmd := exec.Command("qemu-system-x86_64", args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("start QEMU: %v", err)
	}
	go func() { cmd.Wait(); close(m.exited) }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-m.exited
		if t.Failed() {
			console, _ := os.ReadFile(m.Console)
			t.Logf("console:\n%s", console)
		}
	})
	m.open(sock)
	return m
}

func diskArgs(lun uint32, file string, readOnly bool) []string {
	id, ro := "disk"+string(rune('0'+lun)), "off"
	if readOnly {
		ro = "on"
	}
	return []string{
		"-drive", "if=none,format=raw,file=" + file + ",id=" + id + ",discard=unmap,read-only=" + ro,
		"-device", "scsi-hd,drive=" + id + ",bus=scsi0.0,scsi-id=0,lun=" + string(rune('0'+lun)),
	}
}

// open waits for QEMU's socket, then for the agent behind it.
func (m *Machine) open(sock string) {
	m.t.Helper()
	ctx := Context(m.t)
	dialer, err := channel.Open(ctx, channel.Address("mux:"+sock))
	for err != nil && (errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)) {
		select {
		case <-m.exited:
			m.t.Fatal("QEMU ended at once")
		case <-ctx.Done():
			m.t.Fatalf("QEMU does not listen: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		dialer, err = channel.Open(ctx, channel.Address("mux:"+sock))
	}
	if err != nil {
		m.t.Fatalf("open the channel: %v", err)
	}
	m.dialer = dialer
	m.t.Cleanup(func() { dialer.Close() })
}

// Connect returns a new control connection.
func (m *Machine) Connect() *client.Client {
	m.t.Helper()
	c, err := client.Connect(Context(m.t), func(ctx context.Context, port uint32) (net.Conn, error) {
		return m.dialer.Dial(ctx, port)
	}, "test")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { c.Close() })
	return c
}

// Pod boots a VM and makes it a pod's, without a network.
func Pod(t testing.TB) (*Machine, *client.Client) {
	t.Helper()
	return configured(t, configuration())
}

// configuration is a pod's.
func configuration() *api.ConfigureSandboxRequest {
	return &api.ConfigureSandboxRequest{
		Hostname: "pod", Scratch: &api.DiskAddress{Lun: scratchLUN},
		Dns:     &api.DNS{Servers: []string{"192.0.2.53"}, Searches: []string{"example.test"}},
		Sysctls: map[string]string{"net.core.somaxconn": "777"},
		Network: network(),
	}
}

func configured(t testing.TB, conf *api.ConfigureSandboxRequest) (*Machine, *client.Client) {
	t.Helper()
	m := Boot(t)
	c := m.Connect()
	entropy := make([]byte, 64)
	rand.Read(entropy)
	if _, err := c.Personalize(Context(t), &api.PersonalizeRequest{
		Entropy: entropy, UnixNanos: time.Now().UnixNano(), MachineId: strings.Repeat("0a", 16), Scratch: conf.Scratch,
	}); err != nil {
		t.Fatal(err)
	}
	rehearsal := &api.RehearseRequest{Mac: conf.Network.Interfaces[0].Mac, Container: Rehearsal()}
	if _, err := c.Rehearse(Context(t), rehearsal); err != nil {
		t.Fatalf("rehearse: %v", err)
	}
	if _, err := c.ConfigureSandbox(Context(t), conf); err != nil {
		t.Fatal(err)
	}
	return m, c
}

// Rehearsal is a container to rehearse with.
func Rehearsal() *api.CreateContainerRequest {
	r := Request("rehearsal", "")
	r.Mounts = []*api.Mount{{
		Destination: "/etc/hosts", Source: &api.Mount_SandboxFile{SandboxFile: api.SandboxFile_SANDBOX_FILE_HOSTS},
	}}
	return r
}

// network is a configuration for the machine's NIC, which leads nowhere.
func network() *api.Network {
	return &api.Network{
		Interfaces: []*api.Interface{{
			Name: "eth0", Mac: []byte{0x52, 0x54, 0, 0, 0, 1}, GuestMac: []byte{0x52, 0x54, 0, 0, 0, 2}, Mtu: 1400,
			Addresses: []string{"10.88.0.3/24", "fd00:88::3/64"},
		}},
		Routes: []*api.Route{
			{Destination: "0.0.0.0/0", Gateway: "169.254.1.1", Interface: "eth0"},
			{Destination: "::/0", Gateway: "fd00:88::1", Interface: "eth0"},
			{Destination: "169.254.1.1/32", Interface: "eth0"},
		},
	}
}

// Context ends with the test, or when a machine under emulation has surely hung.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// guestImage is the directory that `make guest` fills.
func guestImage(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("PADDOCK_GUEST")
	if dir == "" {
		dir = "../../../build/guest"
	}
	for _, file := range []string{"vmlinux", "initrd.img"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Fatalf("no guest image: run `make guest` (%v)", err)
		}
	}
	return dir
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
